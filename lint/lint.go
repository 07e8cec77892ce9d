// Package lint warns of what a schema change brings along that its author may not have
// meant. It is pure, goes by the statement and the definitions before and after it, and
// says nothing of what the statement does not touch.
package lint

import (
	"strings"

	"midflight/mysqld"
	"midflight/parser"
	"midflight/schema"
)

// A Finding is one warning. The rules' names are a contract.
type Finding struct {
	Rule string
	Text string // what is found, and why it matters
}

// A Change is what is looked at.
type Change struct {
	Statement     parser.Statement
	Before, After *schema.Table
	Flavor        mysqld.Flavor
}

// Rules are all of them, in the order in which they are told.
var Rules = []struct {
	Name  string
	Finds func(Change) []string
}{
	{"no-primary-key", noPrimaryKey},
	{"dropped-column-in-index", droppedColumnInIndex},
	{"foreign-key-needs-index", foreignKeyNeedsIndex},
	{"dropped-index", droppedIndex},
	{"redundant-index", redundantIndex},
	{"not-null-without-default", notNullWithoutDefault},
	{"inexact-money", inexactMoney},
	{"utf8mb3", utf8mb3},
	{"other-collation", otherCollation},
	{"reordered-members", reorderedMembers},
	{"column-position", columnPosition},
	{"long-varchar", longVarchar},
	{"timestamp-2038", timestamp2038},
	{"small-auto-increment", smallAutoIncrement},
	{"renamed-column", renamedColumn},
}

// Check applies every rule.
func Check(c Change) (findings []Finding) {
	for _, r := range Rules {
		for _, text := range r.Finds(c) {
			findings = append(findings, Finding{r.Name, text})
		}
	}
	return findings
}

// written are the columns, as they are now, that the statement defines.
func (c Change) written() (columns []schema.Column) {
	for _, a := range c.Statement.Actions {
		name := a.Column
		switch a.Kind {
		case parser.ChangeColumn:
			name = a.NewColumn
		case parser.AddColumn, parser.ModifyColumn:
		default:
			continue
		}
		if column, ok := c.After.Column(name); ok {
			columns = append(columns, column)
		}
	}
	return columns
}

// each is the statement's actions of a kind.
func (c Change) each(kinds ...parser.ActionKind) (actions []parser.Action) {
	for _, a := range c.Statement.Actions {
		for _, k := range kinds {
			if a.Kind == k {
				actions = append(actions, a)
			}
		}
	}
	return actions
}

func isText(c schema.Column) bool { return c.Charset != "" && c.Charset != "binary" }

func fold(s string) string { return strings.ToLower(s) }
