package replication

import (
	"testing"

	"midflight/internal/testmysql"
)

// TestGroup is of a replication group of two primaries, of which Midflight knows the source.
func TestGroup(t *testing.T) {
	if testing.Short() {
		t.Skip("starts two servers")
	}
	members := testmysql.StartGroup(t, 2, true)
	top := &topology{source: members[0], root: members[0].DB(t), replicas: members[1:]}
	top.source.Exec(t, "CREATE DATABASE shop", "CREATE TABLE shop.level (n INT NOT NULL PRIMARY KEY)", "CREATE TABLE shop.t (id INT NOT NULL PRIMARY KEY, v INT NOT NULL)",
		"SET cte_max_recursion_depth = 12000", "INSERT INTO shop.t WITH RECURSIVE s AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM s WHERE n < 12000) SELECT n, 1 FROM s")
	top.level(t)
	t.Run("is not copied", func(t *testing.T) { top.isNotCopied(t, "of several primaries", "Group Replication") })
	t.Run("locks one member", top.locksOneMember)
}

func (top *topology) locksOneMember(t *testing.T) {}
