package parser

import (
	"slices"
	"strings"
	"testing"

	tidb "github.com/pingcap/tidb/pkg/parser"
	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/pingcap/tidb/pkg/parser/mysql"
	_ "github.com/pingcap/tidb/pkg/parser/test_driver"
)

// facts is what we and the oracle must agree on.
type facts struct {
	kind           Kind
	table          Name
	added, dropped []string
	renamed        [][2]string
}

// The oracle knows less syntax than the servers; what it can't parse it doesn't
// judge, and the test counts that it judges enough.
func TestAgreesWithTiDB(t *testing.T) {
	cases, _ := readGolden(t, "testdata/statements.txt")
	judged := 0
	for _, c := range cases {
		want, ok := oracle(c)
		if !ok {
			continue
		}
		judged++
		s, err := Parse(c.text, c.mode)
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		got := factsOf(s)
		if got.kind != want.kind || got.table != want.table || !slices.Equal(got.added, want.added) ||
			!slices.Equal(got.dropped, want.dropped) || !slices.Equal(got.renamed, want.renamed) {
			t.Errorf("%s:\n got %+v\nwant %+v", c.text, got, want)
		}
	}
	t.Logf("the oracle judged %d of %d", judged, len(cases))
	if judged < 80 {
		t.Errorf("the oracle judged only %d of %d", judged, len(cases))
	}
}

func factsOf(s Statement) facts {
	f := facts{kind: s.Kind, table: s.Table}
	for _, a := range s.Actions {
		switch a.Kind {
		case AddColumn:
			f.added = append(f.added, a.Column)
		case DropColumn:
			f.dropped = append(f.dropped, a.Column)
		case RenameColumn, ChangeColumn:
			f.renamed = append(f.renamed, [2]string{a.Column, a.NewColumn})
		}
	}
	return f
}

func oracle(c goldenCase) (facts, bool) {
	// Its version comments go by no version at all.
	if c.mode.MariaDB || strings.Contains(c.text, "/*!") {
		return facts{}, false
	}
	p := tidb.New()
	var mode mysql.SQLMode
	if c.mode.AnsiQuotes {
		mode |= mysql.ModeANSIQuotes
	}
	if c.mode.NoBackslashEscapes {
		mode |= mysql.ModeNoBackslashEscapes
	}
	p.SetSQLMode(mode)
	nodes, _, err := p.ParseSQL(c.text)
	if err != nil || len(nodes) != 1 {
		return facts{}, false
	}
	name := func(n *ast.TableName) Name { return Name{n.Schema.O, n.Name.O} }
	switch n := nodes[0].(type) {
	case *ast.AnalyzeTableStmt: // ALTER TABLE … ANALYZE PARTITION, to it
		return facts{}, false
	case *ast.AlterTableStmt:
		f := facts{kind: AlterTable, table: name(n.Table)}
		for _, s := range n.Specs {
			switch s.Tp {
			case ast.AlterTableAddColumns:
				for _, col := range s.NewColumns {
					f.added = append(f.added, col.Name.Name.O)
				}
			case ast.AlterTableDropColumn:
				f.dropped = append(f.dropped, s.OldColumnName.Name.O)
			case ast.AlterTableChangeColumn:
				f.renamed = append(f.renamed, [2]string{s.OldColumnName.Name.O, s.NewColumns[0].Name.Name.O})
			case ast.AlterTableRenameColumn:
				f.renamed = append(f.renamed, [2]string{s.OldColumnName.Name.O, s.NewColumnName.Name.O})
			}
		}
		return f, true
	case *ast.CreateIndexStmt:
		return facts{kind: CreateIndex, table: name(n.Table)}, true
	case *ast.DropIndexStmt:
		return facts{kind: DropIndex, table: name(n.Table)}, true
	case *ast.DropTableStmt:
		if n.IsView || n.TemporaryKeyword != ast.TemporaryNone {
			return facts{kind: Other}, true
		}
		return facts{kind: DropTable, table: name(n.Tables[0])}, true
	case *ast.TruncateTableStmt:
		return facts{kind: TruncateTable, table: name(n.Table)}, true
	case *ast.RenameTableStmt:
		return facts{kind: RenameTables, table: name(n.TableToTables[0].OldTable)}, true
	case *ast.OptimizeTableStmt:
		return facts{kind: OptimizeTable, table: name(n.Tables[0])}, true
	}
	return facts{kind: Other}, true
}
