package mysqld

import (
	"context"
	"fmt"
)

// InGalera tells whether the server is a node of a Galera cluster (or Percona's of it), be it
// the only one: there LOCK TABLES is of one node, and a schema change stops them all.
func InGalera(ctx context.Context, db Queryer, f Flavor) (in bool, err error) {
	variables := "performance_schema.global_variables"
	if f.MariaDB {
		variables = "information_schema.global_variables"
	}
	err = db.QueryRowContext(ctx, "SELECT /* midflight */ COUNT(*) = 2 FROM "+variables+" WHERE UPPER(variable_name) = 'WSREP_ON' AND variable_value = 'ON' OR UPPER(variable_name) = 'WSREP_PROVIDER' AND variable_value NOT IN ('', 'none')").Scan(&in)
	if err != nil {
		return false, fmt.Errorf("ask whether the server is in a Galera cluster: %w", err)
	}
	return in, nil
}
