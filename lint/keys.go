package lint

import (
	"fmt"
	"slices"
	"strings"

	"midflight/parser"
	"midflight/schema"
)

func primary(t *schema.Table) bool {
	return slices.ContainsFunc(t.Keys, func(k schema.Key) bool { return k.Name == "PRIMARY" })
}

// noPrimaryKey: rows can't be told apart, by replicas and by Midflight.
func noPrimaryKey(c Change) []string {
	if primary(c.Before) && !primary(c.After) {
		return []string{"the table loses its primary key: replicas look through the whole table for each changed row, and Midflight can copy it only by another unique key"}
	}
	return nil
}

func index(t *schema.Table, name string) (schema.Key, bool) {
	i := slices.IndexFunc(t.Keys, func(k schema.Key) bool { return strings.EqualFold(k.Name, name) })
	if i < 0 {
		return schema.Key{}, false
	}
	return t.Keys[i], true
}

// droppedColumnInIndex: the index loses the column with the table, or goes.
func droppedColumnInIndex(c Change) (found []string) {
	for _, a := range c.each(parser.DropColumn) {
		for _, k := range c.Before.Keys {
			if !slices.ContainsFunc(k.Names(), func(n string) bool { return strings.EqualFold(n, a.Column) }) {
				continue
			}
			now, left := index(c.After, k.Name)
			switch {
			case !left && len(k.Columns) > 1 && len(c.each(parser.DropIndexAction, parser.DropPrimary)) > 0:
			case !left:
				found = append(found, fmt.Sprintf("index %s goes with column %s", k.Name, a.Column))
			case k.Unique:
				found = append(found, fmt.Sprintf("index %s loses column %s and is still unique: rows that differed by it alone are duplicates, and the change fails (1062)", k.Name, a.Column))
			default:
				found = append(found, fmt.Sprintf("index %s loses column %s and is one of (%s)", k.Name, a.Column, strings.Join(now.Names(), ", ")))
			}
		}
	}
	return found
}

// dropped are the indexes that the statement takes off.
func (c Change) dropped() (keys []schema.Key) {
	for _, a := range c.each(parser.DropIndexAction, parser.DropConstraint) {
		k, was := index(c.Before, a.Name)
		if _, still := index(c.After, a.Name); was && !still {
			keys = append(keys, k)
		}
	}
	return keys
}

// foreignKeyNeedsIndex: the scratch table has no foreign keys, so nobody has asked the
// server yet.
func foreignKeyNeedsIndex(c Change) (found []string) {
	keys := slices.Concat(c.Before.ForeignKeys, c.Before.ReferencedBy)
	if len(keys) == 0 {
		return nil
	}
	for _, k := range c.dropped() {
		found = append(found, fmt.Sprintf("index %s is dropped from a table with foreign keys (%s): the server refuses that if one needs it (1553)", k.Name, strings.Join(keys, ", ")))
	}
	return found
}

// droppedIndex: to build it again takes longer than to make it visible again.
func droppedIndex(c Change) (found []string) {
	invisible := "INVISIBLE"
	if c.Flavor.MariaDB {
		invisible = "IGNORED"
	}
	for _, k := range c.dropped() {
		if !k.Hidden && !k.Unique && !covered(c.After, k) {
			found = append(found, fmt.Sprintf("index %s is in use as far as the server knows. ALTER INDEX %s %s first shows who misses it, and is undone in a moment", k.Name, k.Name, invisible))
		}
	}
	return found
}

// covered: another index begins with the same columns.
func covered(t *schema.Table, k schema.Key) bool {
	return slices.ContainsFunc(t.Keys, func(o schema.Key) bool {
		return !strings.EqualFold(o.Name, k.Name) && begins(o, k)
	})
}

// begins: o has k's columns as its first ones, so that it finds whatever k finds.
func begins(o, k schema.Key) bool {
	return k.Type == "BTREE" && o.Type == "BTREE" && len(o.Columns) >= len(k.Columns) && slices.Equal(o.Columns[:len(k.Columns)], k.Columns)
}

// redundantIndex: each index costs every write.
func redundantIndex(c Change) (found []string) {
	for _, k := range c.After.Keys {
		if _, was := index(c.Before, k.Name); was {
			continue
		}
		for _, o := range c.After.Keys {
			_, old := index(c.Before, o.Name)
			switch {
			case o.Name == k.Name || o.Hidden || k.Hidden:
			case !k.Unique && begins(o, k) && (old || len(o.Columns) > len(k.Columns)):
				found = append(found, fmt.Sprintf("the new index %s is the beginning of index %s, which finds the same rows", k.Name, o.Name))
			case old && !o.Unique && begins(k, o):
				found = append(found, fmt.Sprintf("index %s is the beginning of the new index %s, and could be dropped", o.Name, k.Name))
			}
		}
	}
	return found
}
