package ghost

import (
	"context"

	"midflight/ghost/plan"
	"midflight/mysqld"
)

// mustBeWrittenHereOnly refuses what only a lock of all who write the table would make safe
// (docs/decisions/0030-galera.md, 0031-group-replication.md).
func (r *run) mustBeWrittenHereOnly(ctx context.Context) error {
	var in mysqld.Cluster
	err := retry(ctx, patience, func() (err error) {
		in, err = mysqld.ReadCluster(ctx, r.DB, r.Flavor)
		return err
	})
	if err != nil {
		return err
	}
	switch in {
	case mysqld.Galera:
		return &plan.Refusal{
			Reason: "the server is a node of a Galera cluster, where no lock of ours reaches the writers of other nodes, so only what needs no copy and builds nothing is done online",
			Hint:   "To let the server run it, while no node of the cluster commits anything: SET @midflight_strategy = 'direct'",
		}
	case mysqld.MultiPrimary:
		return &plan.Refusal{
			Reason: "the server is in a replication group of several primaries, where no lock of ours reaches the writers of the others, so only what needs no copy and builds nothing is done online",
			Hint:   "Until it is done, have one primary: SELECT group_replication_switch_to_single_primary_mode(). Or let the server run it, while nobody writes the table by another primary: SET @midflight_strategy = 'direct'",
		}
	}
	return nil
}
