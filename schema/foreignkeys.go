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

// ofCatalogue is the list of both servers. MySQL reads it from its dictionary; MariaDB opens
// every table of the server for it (some 140 µs each) unless it is asked for one child, and
// crowds the others' tables out of the server's cache.
const ofCatalogue = `SELECT /* midflight */ TRUE, constraint_name, constraint_schema, table_name, unique_constraint_schema, referenced_table_name
FROM information_schema.referential_constraints ORDER BY constraint_schema, constraint_name`

// ofInnoDB is MariaDB's InnoDB's own list, which is read at once. Its names are encoded as those
// of files are ('a@0020b'), but for the constraint's behind its schema's. The first column is
// FALSE where what is decoded is not the name: of a table that is just being altered ('#sql-…'),
// one that comes from before 5.1 ('#mysql50#…'), or one with a name that Windows reserves ('con@@@').
const ofInnoDB = `SELECT /* midflight */ CONCAT(for_name, '/', ref_name) RLIKE '^[0-9A-Za-z_@]+(/[0-9A-Za-z_@]+){3}$' AND CONCAT(for_name, ref_name) NOT LIKE '%@@@%', SUBSTRING(id, LOCATE('/', id) + 1),
	COALESCE(CONVERT(CONVERT(CAST(SUBSTRING_INDEX(for_name, '/', 1) AS BINARY) USING filename) USING utf8mb4), ''),
	COALESCE(CONVERT(CONVERT(CAST(SUBSTRING(for_name, LOCATE('/', for_name) + 1) AS BINARY) USING filename) USING utf8mb4), ''),
	COALESCE(CONVERT(CONVERT(CAST(SUBSTRING_INDEX(ref_name, '/', 1) AS BINARY) USING filename) USING utf8mb4), ''),
	COALESCE(CONVERT(CONVERT(CAST(SUBSTRING(ref_name, LOCATE('/', ref_name) + 1) AS BINARY) USING filename) USING utf8mb4), '')
FROM information_schema.innodb_sys_foreign ORDER BY id`

// ForeignKeys are all of the server. The account needs PROCESS on MariaDB.
func ForeignKeys(ctx context.Context, db mysqld.Queryer, f mysqld.Flavor) ([]ForeignKey, error) {
	if f.MariaDB {
		keys, named, err := listForeignKeys(ctx, db, ofInnoDB)
		if err != nil || named {
			return keys, err
		}
	}
	keys, _, err := listForeignKeys(ctx, db, ofCatalogue)
	return keys, err
}

// listForeignKeys tells too whether all of them have their tables' names.
func listForeignKeys(ctx context.Context, db mysqld.Queryer, query string) (keys []ForeignKey, named bool, err error) {
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return nil, false, fmt.Errorf("ask for the foreign keys: %w", err)
	}
	defer rows.Close()
	named = true
	for rows.Next() {
		var k ForeignKey
		var well bool
		if err := rows.Scan(&well, &k.Name, &k.Child.Schema, &k.Child.Table, &k.Parent.Schema, &k.Parent.Table); err != nil {
			return nil, false, fmt.Errorf("read the foreign keys: %w", err)
		}
		named = named && well
		keys = append(keys, k)
	}
	return keys, named, rows.Err()
}
