package ghost

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"midflight/binlog"
	"midflight/ghost/plan"
)

// inServer runs a change that needs no copy, in the gap.
func (r *run) inServer(ctx context.Context, p plan.Plan) ([]Warning, error) {
	algorithm, lock := "INSTANT", ""
	if p.Path != plan.Instant {
		algorithm, lock = "INPLACE", "NONE"
	}
	statement := text(r.request.Statement, r.request.Table, algorithm, lock)
	if err := r.describeBefore(ctx); err != nil {
		return nil, err
	}
	r.enter(ctx, CuttingOver)
	g, err := r.openGap(ctx, ddlSession(r.request.Settings), r.request.Table)
	if err != nil {
		return nil, err
	}
	defer g.close()
	stop := context.AfterFunc(ctx, func() { g.kill(ctx) }) // KILL reaches a statement, a closed socket doesn't
	defer stop()
	lost := 0
	for pause := r.Bounds.Pause; ; pause = min(2*pause, r.Bounds.maxPause()) {
		if err := g.awaitFree(ctx, sleep); err != nil {
			return nil, err
		}
		if err := g.awaitLull(ctx, sleep); err != nil {
			return nil, err
		}
		if err := r.revealsStill(ctx); err != nil {
			return nil, err
		}
		if p.Path == plan.InPlace {
			err = g.alterInPlace(ctx, statement)
		} else {
			err = g.alter(ctx, statement)
		}
		if err == nil {
			r.swapped = true
			return showWarnings(ctx, g.lock)
		}
		if errors.Is(err, errLostWork) {
			if lost++; lost == maxLost {
				return nil, &BlockedError{fmt.Sprintf("Midflight gave up after %d attempts in place, since %v. @midflight_strategy = 'copy' loses no work", lost, err)}
			}
		}
		if !errors.Is(err, errTooSoon) {
			return nil, err
		}
		if err := sleep(ctx, pause); err != nil {
			return nil, err
		}
	}
}

// describeBefore records the table as it is: whoever finds that we are gone asks by it
// whether the change was made.
func (r *run) describeBefore(ctx context.Context) error {
	before, err := definitionOf(ctx, r.DB, r.request.Table)
	if err != nil {
		return err
	}
	tried, err := definitionOf(ctx, r.DB, r.scratch.table) // with the change
	if err != nil {
		return err
	}
	return r.Store.Begin(ctx, r.status.ID, Facts{Version: factsVersion, Definition: before, Shows: shows(before, tried)}, binlog.Position{})
}

// shows tells whether a change is seen in the definition. A twin that was made with LIKE
// has no foreign keys.
func shows(before, tried string) bool {
	var lines []string
	for line := range strings.Lines(before) {
		if !strings.Contains(line, " FOREIGN KEY (") {
			lines = append(lines, line)
		}
	}
	return !sameShadow(tried, strings.Join(lines, ""), nil)
}

// maxLost is how often a change in place is begun anew.
const maxLost = 3

// alter runs a statement that has its lock for milliseconds.
func (g *gap) alter(ctx context.Context, statement string) error {
	return g.through(ctx, g.Bounds.Hold, func(ctx context.Context) error {
		began := time.Now()
		err := g.lockedBy(ctx, statement, g.rest()/2)
		if err == nil {
			g.lockedFor = time.Since(began)
		}
		return err
	})
}

// alterInPlace runs a statement that has an exclusive lock twice, for moments: when
// it begins, and when what it has built is made the table's. Nobody can tell when the
// second comes, so that is met when it is seen to wait: statements are held then, and
// if those that are under way don't make room within the bound, the server is told to
// give up, and what it has built is lost.
func (g *gap) alterInPlace(ctx context.Context, statement string) error {
	outcome := make(chan error, 1)
	locks := 0
	for {
		err := g.through(ctx, g.Bounds.Hold, func(ctx context.Context) error {
			if locks++; locks == 1 {
				go func() {
					_, err := g.lock.ExecContext(context.WithoutCancel(ctx), statement)
					outcome <- err
				}()
			}
			return g.letIn(ctx, outcome)
		})
		if err != nil && locks == 0 {
			return err
		}
		if err != nil {
			g.kill(ctx)
			switch ended := <-outcome; {
			case ended == nil: // too late for it
				g.takeKill(ctx)
				return nil
			case !lost(ended):
				return ended
			case locks > 1 && errors.Is(err, errTooSoon):
				return fmt.Errorf("%w: %w", errLostWork, err)
			}
			return err
		}
		if ended, err := g.awaitLock(ctx, outcome); ended {
			if lost(err) && ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return err
		}
	}
}

// errLostWork: the server has built what can't be made the table's.
var errLostWork = fmt.Errorf("%w: the lock at the end of the change in place was not had", errTooSoon)

// letIn waits until the lock session is past its lock, for as long as the hold
// lasts.
func (g *gap) letIn(ctx context.Context, outcome <-chan error) error {
	for {
		state, err := stateOf(ctx, g.watch, g.Flavor, g.id)
		waits := err != nil || state == "" || waiting(state)
		switch {
		case len(outcome) > 0 || !waits:
			return nil
		case g.rest() <= 0 && state == "":
			return err
		case g.rest() <= 0:
			return fmt.Errorf("%w: the exclusive lock was not granted in %s", errTooSoon, g.Bounds.Hold)
		}
		if err := sleep(ctx, time.Millisecond); err != nil {
			return err
		}
	}
}

// awaitLock waits until the lock session waits for its lock, or has ended.
func (g *gap) awaitLock(ctx context.Context, outcome <-chan error) (ended bool, err error) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case err := <-outcome:
			return true, err
		case <-tick.C:
			if waits, err := g.waitsForLock(ctx); waits || err != nil {
				return false, nil
			}
		}
	}
}
