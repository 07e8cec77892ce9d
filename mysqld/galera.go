package mysqld

import (
	"context"
	"fmt"
)

// InGalera tells whether the server is a node of a Galera cluster (or Percona's of it), be it
// the only one: there LOCK TABLES is of one node, and a schema change stops them all. While
// wsrep_on is off the node still applies what others write.
func InGalera(ctx context.Context, db Queryer, f Flavor) (in bool, err error) {
	status := "performance_schema.global_status"
	if f.MariaDB {
		status = "information_schema.global_status"
	}
	err = db.QueryRowContext(ctx, "SELECT /* midflight */ COUNT(*) > 0 FROM "+status+" WHERE variable_name = 'wsrep_provider_name' AND variable_value <> ''").Scan(&in)
	if err != nil {
		return false, fmt.Errorf("ask whether the server is in a Galera cluster: %w", err)
	}
	return in, nil
}
