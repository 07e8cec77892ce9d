package parser

import "fmt"

type Kind int

const (
	Other Kind = iota
	AlterTable
	CreateIndex
	DropIndex
	OptimizeTable
	// The server runs these as they are (Direct).
	DropTable
	TruncateTable
	RenameTables
	CreateTrigger
	DropTrigger
)

var kindNames = [...]string{"Other", "AlterTable", "CreateIndex", "DropIndex", "OptimizeTable",
	"DropTable", "TruncateTable", "RenameTables", "CreateTrigger", "DropTrigger"}

func (k Kind) String() string { return kindNames[k] }

// Name is a table's name as written: Schema is "" where none is.
type Name struct{ Schema, Table string }

// Statement is a text taken apart. Values are unquoted; to compare names of
// columns, remember that the server ignores their case.
type Statement struct {
	Kind    Kind
	Text    string
	Table   Name
	Tables  []Name   // all of them: OPTIMIZE, DROP and RENAME TABLE may name several
	Trigger Name     // of CREATE and DROP TRIGGER, of which the latter names no table
	Actions []Action // in the order of the text, without ALGORITHM and LOCK

	Algorithm, Lock string // upper case; "" also for DEFAULT

	// Hints are from a comment /* midflight: cutover=manual, async */. Keys
	// are lower case; a key without a value has "1".
	Hints map[string]string

	IfExists     bool // MariaDB: ALTER TABLE IF EXISTS; DROP … IF EXISTS
	Online       bool // MariaDB: ALTER ONLINE TABLE
	Ignore       bool // MariaDB: ALTER IGNORE TABLE, which drops duplicate rows
	Wait         bool // MariaDB: WAIT n or NOWAIT
	Local        bool // OPTIMIZE LOCAL TABLE, or NO_WRITE_TO_BINLOG
	SetStatement bool // MariaDB: behind SET STATEMENT … FOR

	layout layout
	words  []Word
}

// Action is one change that a statement makes. An ADD (a INT, b INT) is two.
type Action struct {
	Kind ActionKind
	Text string // the clause, or the element of a list

	Column    string
	NewColumn string // RenameColumn and ChangeColumn, also where it is the same

	Name    string // of the index or constraint
	NewName string // RenameIndex

	Value  string // Engine, AutoIncrement, ConvertCharset, TableOption
	Target Name   // RenameTable, and EXCHANGE PARTITION's other table

	IfExists, IfNotExists bool // MariaDB

	ColumnFlags
	definition definition
}

// ColumnFlags are read from the definition of a column.
type ColumnFlags struct {
	AutoIncrement, Primary, Unique, References, Invisible, Generated, Check bool

	Visible bool // by the word: MySQL has it
}

type ActionKind int

const (
	Unknown ActionKind = iota
	AddColumn
	DropColumn
	ChangeColumn
	ModifyColumn
	RenameColumn
	AlterColumnDefault // SET DEFAULT, DROP DEFAULT, SET VISIBLE, SET INVISIBLE
	AddIndex
	AddUnique
	AddPrimary
	AddFulltext
	AddSpatial
	AddVector
	DropIndexAction
	DropPrimary
	RenameIndex
	AlterIndex
	AddForeignKey
	DropForeignKey
	AddCheck
	DropCheck
	DropConstraint // of whatever kind the name is
	AlterCheck
	RenameTable
	Force
	Engine
	AutoIncrement
	ConvertCharset
	TableOption
	OrderBy
	EnableKeys
	DisableKeys
	PartitionBy
	RemovePartitioning
	PartitionMaintenance
	DiscardTablespace
	ImportTablespace
	SecondaryLoad
	SystemVersioning
	Validation
)

var actionNames = [...]string{
	"Unknown", "AddColumn", "DropColumn", "ChangeColumn", "ModifyColumn", "RenameColumn",
	"AlterColumnDefault", "AddIndex", "AddUnique", "AddPrimary", "AddFulltext", "AddSpatial",
	"AddVector", "DropIndex", "DropPrimary", "RenameIndex", "AlterIndex", "AddForeignKey",
	"DropForeignKey", "AddCheck", "DropCheck", "DropConstraint", "AlterCheck", "RenameTable",
	"Force", "Engine", "AutoIncrement", "ConvertCharset", "TableOption", "OrderBy", "EnableKeys",
	"DisableKeys", "PartitionBy", "RemovePartitioning", "PartitionMaintenance",
	"DiscardTablespace", "ImportTablespace", "SecondaryLoad", "SystemVersioning", "Validation",
}

func (k ActionKind) String() string { return actionNames[k] }

// A NameError says that a schema change has no table name where one must be.
// The server will refuse the text too.
type NameError struct {
	Kind   Kind
	Offset int
}

func (e *NameError) Error() string {
	return fmt.Sprintf("%v: no table name at byte %d", e.Kind, e.Offset)
}
