package plan

import (
	"slices"
	"strings"

	"midflight/mysqld"
	"midflight/schema"
)

// An Index is one that the shadow gets when its rows are there.
type Index struct {
	Name       string
	Definition string // as ADD takes it
}

// Deferred are the indexes that the copy can do without, in their order: plain ones that
// neither find rows by the chunk key nor make them differ. created is the server's SHOW
// CREATE TABLE of the altered table; its text of an index has everything that belongs to it.
//
// Unique indexes stay, since they must refuse what the original's writers make equal (and
// rows are told apart by them); so do those of expressions and generated columns, which not
// every server adds in place, FULLTEXT and SPATIAL ones, and what begins with an
// AUTO_INCREMENT column. The server lists indexes in the order in which they were made, so
// what comes before one that stays does, too. (MySQL lists those of generated columns and
// expressions behind the others, whenever they were made.)
func Deferred(altered *schema.Table, key Key, created string, mariaDB bool) (deferred []Index) {
	for line := range strings.Lines(created) {
		definition, ok := strings.CutPrefix(strings.TrimRight(line, ",\n"), "  ")
		if !ok || !strings.HasPrefix(definition, "KEY `") {
			continue
		}
		i := slices.IndexFunc(altered.Keys, func(k schema.Key) bool {
			return strings.HasPrefix(definition, "KEY "+mysqld.QuoteName(k.Name)+" (")
		})
		switch {
		case i < 0:
			deferred = nil
			continue
		case !mariaDB && computes(altered, altered.Keys[i]):
			continue
		case !deferrable(altered, key, altered.Keys[i]):
			deferred = nil
			continue
		}
		deferred = append(deferred, Index{altered.Keys[i].Name, definition})
	}
	return deferred
}

func deferrable(t *schema.Table, key Key, index schema.Key) bool {
	if index.Unique || index.Type != "BTREE" || index.Name == HelperIndex || key.servedBy(index) {
		return false
	}
	if computes(t, index) {
		return false
	}
	first, _ := t.Column(index.Columns[0].Name)
	return !first.AutoInc
}

// computes: the index is of an expression, or of a generated column.
func computes(t *schema.Table, index schema.Key) bool {
	return slices.ContainsFunc(index.Columns, func(kc schema.KeyColumn) bool {
		c, ok := t.Column(kc.Name)
		return !ok || c.Generated
	})
}

// Build rates, in rows of one index a second, of a server's single thread: what a replica
// needs, which does the same after the source. (MySQL 9.7, slow processors: 0.4 to 0.8
// million. MariaDB was not measured.)
const buildRate = 500_000

// BuildSeconds is about how long the server takes to build n indexes of rows.
func BuildSeconds(rows int64, n int) float64 { return float64(rows) * float64(n) / buildRate }

// MayDefer is the rule of when indexes are built at the end. On a replica the build is one
// statement behind which everything waits; so where there are any it must be short.
func MayDefer(rows int64, n int, replicas bool) bool {
	return n > 0 && (!replicas || BuildSeconds(rows, n) <= lagAllowed)
}

// lagAllowed of a replica, in seconds.
const lagAllowed = 1.0
