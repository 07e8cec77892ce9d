package schema

import (
	"reflect"
	"slices"
	"strings"

	"midflight/mysqld"
)

// A Name is a table's schema and name as the server stores them, unquoted.
type Name struct {
	Schema, Table string
}

// String is for people: shop.orders.
func (n Name) String() string { return n.Schema + "." + n.Table }

// Quoted is for SQL: `shop`.`orders`.
func (n Name) Quoted() string { return mysqld.QuoteTable(n.Schema, n.Table) }

// With is another table of the same schema.
func (n Name) With(table string) Name { return Name{n.Schema, table} }

// A Table is one table's definition as its server's catalogue has it.
type Table struct {
	Name        Name
	Engine      string
	Type        string // "BASE TABLE", "VIEW", "SYSTEM VERSIONED", "SEQUENCE"
	Rows, Bytes int64  // the storage engine's estimates; Bytes without the indexes'
	Partitioned bool
	Triggers    []Trigger // in the order in which they fire
	// ForeignKeys of this table, and those of other tables that refer to it.
	ForeignKeys, ReferencedBy []string
	// Checks are the names of the CHECK constraints. MySQL has such a name once
	// per schema.
	Checks  []string
	Columns []Column
	Keys    []Key
}

// A Trigger is one trigger, with all that CREATE TRIGGER takes from its session.
type Trigger struct {
	Name string
	// Statement is the server's CREATE TRIGGER, in UTF-8; the trigger has it in
	// the character set Client.
	Statement                    string
	SQLMode                      string
	Client, Connection, Database string // character_set_client, collation_connection, the schema's collation then
	Created                      string // seconds since 1970 with a fraction; "" where the server doesn't know
}

// A Column is one column. Texts are as in information_schema.columns.
type Column struct {
	Name       string
	Position   int    // from 0, as in binlog row images
	Type       string // "varchar"
	FullType   string // "varchar(20)", "int unsigned"
	Charset    string // "" for types without one
	Collation  string
	Precision  int    // fractional digits of a temporal type
	Default    string // as information_schema has it; "" also when there is none
	HasDefault bool   // a DEFAULT that is not NULL
	Nullable   bool
	Generated  bool   // by an expression: the server computes it, nobody inserts it
	Expression string // of a generated column
	AutoInc    bool
	OnUpdate   bool // ON UPDATE CURRENT_TIMESTAMP
	Invisible  bool
}

// Unsigned tells an integer's or BIT's reading.
func (c Column) Unsigned() bool { return strings.Contains(c.FullType, "unsigned") }

// Integer tells TINYINT … BIGINT.
func (c Column) Integer() bool {
	switch c.Type {
	case "tinyint", "smallint", "mediumint", "int", "bigint":
		return true
	}
	return false
}

// Spatial tells geometries.
func (c Column) Spatial() bool {
	switch c.Type {
	case "geometry", "point", "linestring", "polygon", "multipoint", "multilinestring", "multipolygon", "geometrycollection", "geomcollection":
		return true
	}
	return false
}

// A Key is an index.
type Key struct {
	Name    string
	Unique  bool
	Type    string // BTREE, FULLTEXT, …
	Hidden  bool   // INVISIBLE, on MariaDB IGNORED: no statement may use it
	Columns []KeyColumn
}

// A KeyColumn is one part of an index.
type KeyColumn struct {
	Name       string // "" for an expression
	Expression string
	Prefix     int // indexed length, 0: all of it
	Desc       bool
}

// Names of the columns of k; expressions are "".
func (k Key) Names() []string {
	names := make([]string, len(k.Columns))
	for i, c := range k.Columns {
		names[i] = c.Name
	}
	return names
}

// Column finds a column; MySQL compares column names without case.
func (t *Table) Column(name string) (Column, bool) {
	i := slices.IndexFunc(t.Columns, func(c Column) bool { return strings.EqualFold(c.Name, name) })
	if i < 0 {
		return Column{}, false
	}
	return t.Columns[i], true
}

// SameDefinition compares everything but the estimates.
func (t *Table) SameDefinition(o *Table) bool {
	a, b := *t, *o
	a.Rows, b.Rows, a.Bytes, b.Bytes = 0, 0, 0, 0
	return reflect.DeepEqual(a, b)
}
