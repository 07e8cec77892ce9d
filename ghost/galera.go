package ghost

import (
	"context"

	"midflight/ghost/plan"
	"midflight/mysqld"
)

// mustNotBeInGalera refuses what only a lock of all nodes would make safe, and what stops
// them all while it runs (docs/decisions/0030-galera.md).
func (r *run) mustNotBeInGalera(ctx context.Context) error {
	in := false
	err := retry(ctx, patience, func() (err error) {
		in, err = mysqld.InGalera(ctx, r.DB, r.Flavor)
		return err
	})
	if err != nil || !in {
		return err
	}
	return &plan.Refusal{
		Reason: "the server is a node of a Galera cluster, where no lock of ours reaches the writers of other nodes, so only what needs no copy and builds nothing is done online",
		Hint:   "To let the server run it, while no node of the cluster commits anything: SET @midflight_strategy = 'direct'",
	}
}
