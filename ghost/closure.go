package ghost

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"

	"midflight/mysqld"
	"midflight/schema"
)

// lockers is the names whose mention may mean that a statement locks one of
// tables: those of closure, and of what foreign keys lead to.
func lockers(ctx context.Context, db *sql.DB, f mysqld.Flavor, tables ...schema.Name) ([]string, error) {
	keys, err := schema.ForeignKeys(ctx, db, f)
	if err != nil {
		return nil, err
	}
	return closureOf(ctx, db, lockingThrough(namesOf(tables), keys)...)
}

// closure is the names whose mention may mean one of tables: their own, and those of
// the views, routines and triggers whose text has one of these names. By text,
// so rather too many: each costs a statement some milliseconds.
func closure(ctx context.Context, db *sql.DB, tables ...schema.Name) ([]string, error) {
	return closureOf(ctx, db, namesOf(tables)...)
}

func namesOf(tables []schema.Name) []string {
	var names []string
	for _, t := range tables {
		if !slices.Contains(names, t.Table) {
			names = append(names, t.Table)
		}
	}
	return names
}

func closureOf(ctx context.Context, db *sql.DB, names ...string) ([]string, error) {
	rows, err := db.QueryContext(ctx, `SELECT /* midflight */ table_name, view_definition FROM information_schema.views WHERE table_schema NOT IN ('sys', 'mysql', 'midflight')
UNION ALL SELECT routine_name, routine_definition FROM information_schema.routines WHERE routine_schema NOT IN ('sys', 'mysql', 'midflight')
UNION ALL SELECT event_object_table, action_statement FROM information_schema.triggers WHERE trigger_schema NOT IN ('sys', 'mysql')`)
	if err != nil {
		return nil, fmt.Errorf("ask what reaches %s: %w", names[0], err)
	}
	defer rows.Close()
	texts := map[string]string{}
	for rows.Next() {
		var name string
		var text sql.NullString
		if err := rows.Scan(&name, &text); err != nil {
			return nil, err
		}
		if text.String == "" { // not ours to see, so it may reach anything
			names = append(names, name)
			continue
		}
		texts[name] += strings.ToLower(text.String) + "\n"
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	return reaching(names, texts), nil
}

// reaching is the fixpoint: names, and the keys of texts that lead to one of them.
func reaching(names []string, texts map[string]string) []string {
	for i := 0; i < len(names); i++ {
		for name, text := range texts {
			if hasWord(text, strings.ToLower(names[i])) {
				names = append(names, name)
				delete(texts, name)
			}
		}
	}
	return names
}

// hasWord tells whether text has name, and not as a part of a longer one. In a text a
// quote of its own kind inside a name is doubled, so the longest piece between quotes
// is looked for.
func hasWord(text, name string) bool {
	pieces := strings.FieldsFunc(name, func(r rune) bool { return r == '`' || r == '"' })
	if len(pieces) == 0 {
		return strings.ContainsAny(text, "`\"")
	}
	name = slices.MaxFunc(pieces, func(a, b string) int { return len(a) - len(b) })
	for at := 0; ; at++ {
		i := strings.Index(text[at:], name)
		if i < 0 {
			return false
		}
		at += i
		// Behind a comment's version a word may begin at once: /*!50000orders */.
		before, after := strings.TrimRight(text[:at], "0123456789"), text[at+len(name):]
		if !strings.HasSuffix(before, "!") {
			before = text[:at]
		}
		if (before == "" || !inName(before[len(before)-1]) || !inName(name[0])) && (after == "" || !inName(after[0]) || !inName(name[len(name)-1])) {
			return true
		}
	}
}

// inName: c is a part of a name in any character set. Above ASCII are blanks, too.
func inName(c byte) bool {
	return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '_' || c == '$'
}

// lockingThrough adds to names the tables whose change locks one of them: a child's
// rows are looked up in the parent, and a parent's change goes down to the child, by
// CASCADE from generation to generation.
func lockingThrough(names []string, keys []schema.ForeignKey) []string {
	all := slices.Clone(names)
	add := func(n string) {
		if !slices.Contains(all, n) {
			all = append(all, n)
		}
	}
	for i := 0; i < len(all); i++ { // the parents, and theirs
		for _, k := range keys {
			if strings.EqualFold(k.Child.Table, all[i]) {
				add(k.Parent.Table)
			}
		}
	}
	for _, n := range names {
		for _, k := range keys {
			if strings.EqualFold(k.Parent.Table, n) {
				add(k.Child.Table)
			}
		}
	}
	return all
}
