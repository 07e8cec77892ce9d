package soak

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"midflight/internal/localserver"
	"midflight/mysqld"
)

// A Case is everything that is drawn from a seed. Its parts can be taken away
// one by one, which is how a failure is made small.
type Case struct {
	Seed     uint64
	Flavor   localserver.Flavor
	Table    Table
	Rows     int
	Settings []string // SET statements of the session that alters
	Strategy string
	// Manual: the swap waits for leave, which is given after the writers have
	// done some more work.
	Manual       bool
	Alters       []Alter // one after another
	Writers      []Writer
	Disturbances []Disturbance
}

// A Table is a definition in parts.
type Table struct {
	Name      string
	Number    string // its column of numbers, by which a writer knows its rows
	Columns   []Column
	Keys      []Key
	Checks    []Check
	Options   string
	Partition string
	Triggers  []Trigger
	// Typed replaces all of that: a case that was found, as a person would write
	// it. Its statements make the table and its rows.
	Typed []string
}

type Column struct {
	Name      string
	Type      Type
	Auto      bool   // AUTO_INCREMENT
	NotNull   bool   // otherwise NULL
	Default   string // with its keyword; "" is none
	Generated string // the whole clause; "" is an ordinary column
	Uses      string // the column that Generated reads
	Invisible bool
	Comment   string
}

// A Key is an index clause and the columns that it needs.
type Key struct {
	Kind  string // PRIMARY KEY, UNIQUE KEY, KEY …
	Name  string
	Parts []Part
}

type Part struct {
	Column string // "" for an expression over Uses
	Text   string // as in the clause
	Uses   string
}

type Check struct{ Text, Uses string }

type Trigger struct {
	Name, When string // BEFORE INSERT
	Body       string
	Uses       string // "" when it only reads the number
}

// An Alter is a statement in which {t} stands for the table.
type Alter struct {
	Head    string // ALTER TABLE {t} …
	Actions []string
	Tail    string // PARTITION BY … follows without a comma
}

func (a Alter) Text(table string) string {
	return strings.TrimSpace(strings.ReplaceAll(a.Head, "{t}", mysqld.QuoteName(table)) + " " + strings.Join(a.Actions, ", ") + " " + a.Tail)
}

// A Writer is a session that changes both twins in one transaction.
type Writer struct {
	Through  bool // Midflight; otherwise it goes around it
	Settings []string
	Seed     uint64
	Pause    time.Duration // between transactions
}

// A Disturbance happens once, some time after the ALTER was sent.
type Disturbance struct {
	Kind string
	At   time.Duration
	For  time.Duration
}

func (c Column) definition(f localserver.Flavor) string {
	b := mysqld.QuoteName(c.Name) + " " + c.Type.SQL
	if c.Generated != "" {
		b += " " + c.Generated
	} else {
		if c.NotNull {
			b += " NOT NULL"
		} else {
			b += " NULL"
		}
		if c.Default != "" {
			b += " " + c.Default
		}
		if c.Auto {
			b += " AUTO_INCREMENT"
		}
	}
	if c.Invisible {
		b += " INVISIBLE"
	}
	if c.Comment != "" {
		b += " COMMENT " + quoteText(c.Comment)
	}
	return b
}

// computed is the expression for which DEFAULT stands; "" if that is a constant.
func (c Column) computed() string {
	text, ok := strings.CutPrefix(c.Default, "DEFAULT ")
	text, _, _ = strings.Cut(text, " ON UPDATE ")
	if ok && (strings.HasPrefix(text, "(") || strings.HasPrefix(text, "CURRENT_TIMESTAMP")) {
		return text
	}
	return ""
}

func (k Key) definition() string {
	var parts []string
	for _, p := range k.Parts {
		parts = append(parts, p.Text)
	}
	b := k.Kind
	if k.Name != "" {
		b += " " + mysqld.QuoteName(k.Name)
	}
	return b + " (" + strings.Join(parts, ", ") + ")"
}

// Create is the table's CREATE TABLE.
func (t Table) Create(f localserver.Flavor) string {
	var parts []string
	for _, c := range t.Columns {
		parts = append(parts, c.definition(f))
	}
	for _, k := range t.Keys {
		parts = append(parts, k.definition())
	}
	for _, c := range t.Checks {
		parts = append(parts, c.Text)
	}
	return strings.TrimSpace(fmt.Sprintf("CREATE TABLE %s (\n  %s\n) ENGINE=InnoDB %s %s", mysqld.QuoteName(t.Name), strings.Join(parts, ",\n  "), t.Options, t.Partition))
}

func (t Table) create(trigger Trigger) string {
	return fmt.Sprintf("CREATE TRIGGER %s %s ON %s FOR EACH ROW %s", mysqld.QuoteName(trigger.Name), trigger.When, mysqld.QuoteName(t.Name), trigger.Body)
}

func (t Table) column(name string) (Column, bool) {
	i := slices.IndexFunc(t.Columns, func(c Column) bool { return c.Name == name })
	if i < 0 {
		return Column{}, false
	}
	return t.Columns[i], true
}

// without takes a column away, and what needs it.
func (t Table) without(name string) Table {
	needs := func(k Key) bool {
		return slices.ContainsFunc(k.Parts, func(p Part) bool { return p.Column == name || p.Uses == name })
	}
	t.Columns = slices.DeleteFunc(slices.Clone(t.Columns), func(c Column) bool { return c.Name == name || c.Uses == name })
	t.Keys = slices.DeleteFunc(slices.Clone(t.Keys), needs)
	t.Checks = slices.DeleteFunc(slices.Clone(t.Checks), func(c Check) bool { return c.Uses == name })
	t.Triggers = slices.DeleteFunc(slices.Clone(t.Triggers), func(tr Trigger) bool { return tr.Uses == name })
	if strings.Contains(t.Partition, mysqld.QuoteName(name)) {
		t.Partition = ""
	}
	return t
}

// audit is where triggers write.
const audit = "CREATE TABLE soak_audit (id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, what VARCHAR(20), n VARCHAR(40))"

// fulltext: the table has a FULLTEXT key, or gets one.
func (c Case) fulltext() bool {
	return slices.ContainsFunc(c.Table.Keys, func(k Key) bool { return k.Kind == "FULLTEXT KEY" }) ||
		slices.ContainsFunc(c.Alters, func(a Alter) bool { return strings.Contains(strings.Join(a.Actions, " "), "FULLTEXT") })
}
