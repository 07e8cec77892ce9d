package mysqld

import (
	"context"
	"fmt"
)

// A Cluster is one in which others write what is the server's, too, and no lock of the server
// keeps them out.
type Cluster int

const (
	NoCluster    Cluster = iota
	Galera               // or Percona's of it
	MultiPrimary         // a replication group, in which each member may write
)

// ReadCluster asks whether the server is in one, be it alone there: another may come at any time.
func ReadCluster(ctx context.Context, db Queryer, f Flavor) (Cluster, error) {
	in, err := inGalera(ctx, db, f)
	if err != nil {
		return NoCluster, fmt.Errorf("ask whether the server is in a Galera cluster: %w", err)
	}
	if in {
		return Galera, nil
	}
	if in, err = InMultiPrimary(ctx, db, f); err != nil || !in {
		return NoCluster, err
	}
	return MultiPrimary, nil
}

// inGalera: while wsrep_on is off the node still applies what others write.
func inGalera(ctx context.Context, db Queryer, f Flavor) (in bool, err error) {
	status := "performance_schema.global_status"
	if f.MariaDB {
		status = "information_schema.global_status"
	}
	err = db.QueryRowContext(ctx, "SELECT /* midflight */ COUNT(*) > 0 FROM "+status+" WHERE variable_name = 'wsrep_provider_name' AND variable_value <> ''").Scan(&in)
	return in, err
}

// InMultiPrimary is the part of ReadCluster that may be asked under a lock. A group that comes
// to have several primaries has the checks ON before its primary lets any other member write,
// and the mode after that (multi_primary_migration_action.cc): while both say no on the
// primary, no other has written.
func InMultiPrimary(ctx context.Context, db Queryer, f Flavor) (in bool, err error) {
	if f.MariaDB {
		return false, nil
	}
	err = db.QueryRowContext(ctx, "SELECT /* midflight */ NOT @@GLOBAL.group_replication_single_primary_mode OR @@GLOBAL.group_replication_enforce_update_everywhere_checks").Scan(&in)
	if Number(err) == ErrUnknownVariable { // the plugin is not loaded
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("ask whether the server's replication group has several primaries: %w", err)
	}
	return in, nil
}
