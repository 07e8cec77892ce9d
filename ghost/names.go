package ghost

import (
	"unicode/utf8"

	"midflight/schema"
)

// Tables of ours stand beside the original, so that the swap is a rename within
// one schema. A name may have 64 characters; longer ones are cut, and the
// migration's record has the names in use.
const maxName = 64

func shadowName(t schema.Name) schema.Name { return t.With("_" + cut(t.Table, 8) + "_shadow") }

func oldName(t schema.Name) schema.Name { return t.With("_" + cut(t.Table, 5) + "_old") }

// Names for the moment of the swap on MariaDB, where RENAME takes its locks one
// after the other in the order of the names' bytes: these sort behind the
// original, so that a RENAME that waits, waits on the original
// (cutover_mariadb.go).
func lateShadowName(t schema.Name) schema.Name { return t.With(late(t.Table) + "s") }

func lateOldName(t schema.Name) schema.Name { return t.With(late(t.Table) + "o") }

func late(name string) string {
	if utf8.RuneCountInString(name) <= maxName-2 {
		return name + "~"
	}
	return "\uffdc" // behind every name that begins with a usual letter
}

func cut(name string, reserve int) string {
	runes := []rune(name)
	return string(runes[:min(len(runes), maxName-reserve)])
}
