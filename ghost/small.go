package ghost

import (
	"context"
	"fmt"

	"midflight/ghost/plan"
	"midflight/mysqld"
)

// What can't be carried out online is left to the server where its own ALTER is
// over before anybody notices: docs/decisions/0011-small-tables-directly.md.
const (
	smallRows = 10_000
	smallData = 16 << 20
)

// smallOr leaves a statement that is refused to the server where the table is
// small, else the refusal also says how small that is.
func (r *run) smallOr(ctx context.Context, refused *plan.Refusal) (plan.Plan, error) {
	p, err := r.ifSmall(ctx, refused.Reason)
	if err != nil || p.Path == plan.Direct {
		return p, err
	}
	return p, &plan.Refusal{
		Reason: refused.Reason,
		Hint:   fmt.Sprintf("Only tables of at most %d rows and %d MiB are left to the server by themselves. %s", smallRows, smallData>>20, refused.Hint),
	}
}

// ifSmall is a plan to leave the statement to the server, or none. Who asks for
// a path, or for a moment of the swap, does not get another.
func (r *run) ifSmall(ctx context.Context, reason string) (plan.Plan, error) {
	if r.request.Strategy != plan.Auto || r.request.CutOver != (CutOver{}) || r.request.Async {
		return plan.Plan{}, nil
	}
	rows, small, err := r.small(ctx)
	if err != nil || !small {
		return plan.Plan{}, err
	}
	return plan.Plan{Path: plan.Direct, Reason: fmt.Sprintf("the table is small (%d rows), and %s", rows, reason)}, nil
}

// small counts the rows, to the limit: the catalogue's number is an estimate.
// Its size is that of the pages in use, without the indexes.
func (r *run) small(ctx context.Context) (rows int64, small bool, err error) {
	if r.original.Bytes > smallData {
		return 0, false, nil
	}
	history := ""
	if r.original.Type == "SYSTEM VERSIONED" {
		history = " FOR SYSTEM_TIME ALL"
	}
	err = retry(ctx, patience, func() error {
		return r.DB.QueryRowContext(ctx, fmt.Sprintf("SELECT /* midflight m%d count */ COUNT(*) FROM (SELECT 1 FROM %s%s LIMIT %d) AS some",
			r.status.ID, r.original.Name.Quoted(), history+mysqld.TableOnly, smallRows+1)).Scan(&rows)
	})
	return rows, rows <= smallRows, wrap(err, "count the rows of %s", r.original.Name)
}

// leave waits for a moment in which the server's ALTER would not have to wait,
// with everybody else behind it, and gives the statement back.
func (r *run) leave(ctx context.Context, p plan.Plan) Result {
	r.enter(ctx, CuttingOver)
	g, err := r.newGap(ctx, r.request.Table)
	if err == nil {
		err = g.awaitFree(ctx, sleep)
	}
	if err != nil {
		return Result{Err: err}
	}
	r.log(ctx, "left to the server: %s", p.Reason)
	return Result{Left: p.Reason}
}
