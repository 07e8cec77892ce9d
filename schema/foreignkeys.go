package schema

import (
	"context"
	"fmt"

	"midflight/mysqld"
)

// A ForeignKey leads from a table, the child, to the one that its rows refer to.
type ForeignKey struct {
	Name          string
	Child, Parent Name
}

// inMariaDB: information_schema.referential_constraints opens every table of the server
// (some 140 µs each) unless it is asked for one child, and crowds the others' tables out of
// the server's cache. InnoDB's own list is read at once. Its names are encoded as those of
// files are ('a@0020b'), but for the constraint's behind its schema's.
const inMariaDB = `SELECT /* midflight */ SUBSTRING(id, LOCATE('/', id) + 1),
	COALESCE(CONVERT(CONVERT(CAST(SUBSTRING_INDEX(for_name, '/', 1) AS BINARY) USING filename) USING utf8mb4), ''),
	COALESCE(CONVERT(CONVERT(CAST(SUBSTRING(for_name, LOCATE('/', for_name) + 1) AS BINARY) USING filename) USING utf8mb4), ''),
	COALESCE(CONVERT(CONVERT(CAST(SUBSTRING_INDEX(ref_name, '/', 1) AS BINARY) USING filename) USING utf8mb4), ''),
	COALESCE(CONVERT(CONVERT(CAST(SUBSTRING(ref_name, LOCATE('/', ref_name) + 1) AS BINARY) USING filename) USING utf8mb4), '')
FROM information_schema.innodb_sys_foreign ORDER BY id`

const inMySQL = `SELECT /* midflight */ constraint_name, constraint_schema, table_name, unique_constraint_schema, referenced_table_name
FROM information_schema.referential_constraints ORDER BY constraint_schema, constraint_name`

// ForeignKeys are all of the server.
func ForeignKeys(ctx context.Context, db mysqld.Queryer, f mysqld.Flavor) ([]ForeignKey, error) {
	query := inMySQL
	if f.MariaDB {
		query = inMariaDB
	}
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return nil, fmt.Errorf("ask for the foreign keys: %w", err)
	}
	defer rows.Close()
	var keys []ForeignKey
	for rows.Next() {
		var k ForeignKey
		if err := rows.Scan(&k.Name, &k.Child.Schema, &k.Child.Table, &k.Parent.Schema, &k.Parent.Table); err != nil {
			return nil, fmt.Errorf("read the foreign keys: %w", err)
		}
		keys = append(keys, k)
	}
	return keys, rows.Err()
}
