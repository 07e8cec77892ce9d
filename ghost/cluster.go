package ghost

import (
	"context"

	"midflight/ghost/plan"
	"midflight/mysqld"
	"midflight/schema"
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
		return otherPrimaries("no lock of ours reaches the writers of the others, so only what needs no copy and builds nothing is done online")
	}
	return nil
}

// mustBeOnlyPrimary is asked under the lock: a group can be told to have several primaries at
// any time.
func (s *syncer) mustBeOnlyPrimary(ctx context.Context, lock mysqld.Queryer) error {
	in, err := mysqld.InMultiPrimary(ctx, lock, s.Flavor)
	if err != nil || !in {
		return err
	}
	return otherPrimaries("no lock of ours reaches the writers of the others: the table is as it was")
}

// mustFitRowsOfOthers refuses a change after which a row that another primary has written before it
// would be taken for another. MySQL doesn't see that: the member that applies it leaves the group,
// or has wrong values.
func (r *run) mustFitRowsOfOthers(ctx context.Context) error {
	var in bool
	err := retry(ctx, patience, func() (err error) {
		in, err = mysqld.InMultiPrimary(ctx, r.DB, r.Flavor)
		return err
	})
	if err != nil || !in {
		return err
	}
	altered, err := schema.Read(ctx, r.DB, r.scratch.table)
	if err != nil || plan.FitsRowsOf(r.request.Statement, r.original, altered) {
		return err
	}
	return otherPrimaries("rows that another writes while the change comes to it would not fit the table any more: only columns at the end fit")
}

func otherPrimaries(why string) error {
	return &plan.Refusal{
		Reason: "the server is in a replication group of several primaries, and " + why,
		Hint:   "Have one primary until it is done: SELECT group_replication_switch_to_single_primary_mode(). Or let the server run it, while nobody writes the table by another primary: SET @midflight_strategy = 'direct'",
	}
}
