package ghost

import (
	"fmt"
	"unicode/utf8"

	"midflight/schema"
)

// Tables of ours stand beside the original, so that the swap is a rename within
// one schema. A name may have 64 characters; longer ones are cut, and the
// migration's record has the names in use.
const maxName = 64

func shadowName(t schema.Name, id int64) schema.Name { return t.With(around(t.Table, id, "_shadow")) }

func oldName(t schema.Name, id int64) schema.Name { return t.With(around(t.Table, id, "_old")) }

// apartShadow and apartOld are in schemas of the migration's own and keep the
// table's name. On MySQL the name of a CHECK constraint exists once per schema,
// and the names that the server makes begin with the table's: only there can the
// shadow have the constraints' names from the start, and only from there can it
// be renamed to the original's place while the old table keeps them (twin.go).
func apartShadow(t schema.Name, id int64) schema.Name { return apart(t, id, "_shadow") }

func apartOld(t schema.Name, id int64) schema.Name { return apart(t, id, "_old") }

func apart(t schema.Name, id int64, suffix string) schema.Name {
	return schema.Name{Schema: fmt.Sprintf("%s%d%s", ourSchemas, id, suffix), Table: t.Table}
}

// ourSchemas is how the names of schemas begin that Midflight makes and drops.
const ourSchemas = "_midflight_"

// around is _TABLE_suffix; a name that has to be cut gets the migration's id, so
// that two tables never have the same.
func around(table string, id int64, suffix string) string {
	if name := "_" + table + suffix; utf8.RuneCountInString(name) <= maxName {
		return name
	}
	suffix = fmt.Sprintf("_%d%s", id, suffix)
	runes := []rune(table)
	return "_" + string(runes[:maxName-1-len(suffix)]) + suffix
}

// Names for the moment of the swap on MariaDB, where RENAME takes its locks one
// after the other in the order of the names' bytes: these sort behind the
// original, so that a RENAME that waits, waits on the original
// (cutover_mariadb.go).
func lateShadowName(t schema.Name, id int64) schema.Name { return t.With(late(t.Table, id) + "s") }

func lateOldName(t schema.Name, id int64) schema.Name { return t.With(late(t.Table, id) + "o") }

func late(table string, id int64) string {
	if utf8.RuneCountInString(table) <= maxName-2 {
		return table + "~"
	}
	return fmt.Sprintf("\uffdc%d", id) // behind every name that begins with a usual letter
}
