package ghost

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"midflight/binlog"
	"midflight/ghost/backlog"
	"midflight/ghost/chunk"
	"midflight/ghost/plan"
	"midflight/ghost/rowsql"
	"midflight/mysqld"
	"midflight/schema"
)

// A copy is gone on with from its latest checkpoint: all rows up to the watermark are in
// the shadow, and all changes up to the position. What the shadow has beyond the
// watermark is deleted, the changes since the position are applied again, and all that
// was copied is compared once more: the server may have crashed, too, and have lost what
// it had acknowledged. Nothing else is believed; the plan is made anew from the statement,
// and must lead to the same statements.

// factsVersion is of what a checkpoint means. One of another version is not gone on from.
const factsVersion = 1

// An unfit checkpoint is no reason to fail: the copy is begun anew, and says why.
type unfit struct{ reason string }

func (u *unfit) Error() string { return u.reason }

// transient: nobody can tell now, or the server will take it later. What was done is
// kept.
func transient(err error) bool {
	var changed *binlog.ServerChanged
	return errors.As(err, &changed) || mysqld.IsConnectionLost(err) || mysqld.IsTooManyConnections(err) || mysqld.IsLockConflict(err) || errors.Is(err, errLeaseLost)
}

// facts are what whoever goes on will ask for.
func (r *run) facts(server string) (Facts, error) {
	return Facts{
		Version: factsVersion, Definition: r.definition, Shadow: r.shadow, Old: r.oldAs, ShadowAs: r.shadowAs,
		Deferred: r.deferred, Copies: r.tables.Copy(chunk.Range{}), Started: r.tables.Started, Server: server,
	}, nil
}

// describeShadow remembers how the shadow table was when its copy began. conn has the
// user's settings: whoever opens a table first decides for the others how many digits a
// division in a generated column has (div_precision_increment; seen on MySQL 9.7).
func (r *run) describeShadow(ctx context.Context, conn *sql.Conn) (err error) {
	r.shadowAs, err = definitionOf(ctx, conn, r.shadow)
	return wrap(err, "read the definition of the new table")
}

// adopt takes the shadow table that was made for the same plan.
func (r *run) adopt(ctx context.Context, conn *sql.Conn, p plan.Plan, tables rowsql.Tables) (plan.Plan, error) {
	facts := r.resume.Facts
	definition, err := definitionOf(ctx, r.DB, r.original.Name)
	if err != nil {
		return p, err
	}
	if definition != facts.Definition {
		return p, obstacle("somebody changed the definition of %s while no Midflight was at work. Send the statement again", r.original.Name)
	}
	tables.Shadow, tables.Started = facts.Shadow, facts.Started
	if p.Numbers() || tables.Copy(chunk.Range{}) != facts.Copies {
		return p, &unfit{"the rows would be copied by another statement now"}
	}
	r.shadow, r.oldAs = facts.Shadow, facts.Old
	if late := lateShadowName(r.original.Name, r.status.ID); r.Flavor.MariaDB { // renamed for a swap
		there, err := schema.Exists(ctx, r.DB, late)
		if err != nil {
			return p, err
		}
		if there {
			r.shadow = late
		}
	}
	tables.Shadow = r.shadow
	r.tables, r.deferred, r.shadowAs = tables, facts.Deferred, facts.ShadowAs
	now, err := definitionOf(ctx, conn, r.shadow)
	if errors.Is(err, schema.ErrNotFound) || mysqld.Number(err) == mysqld.ErrNoSuchTable {
		return p, &unfit{"the new table " + r.shadow.String() + " is not there any more"}
	}
	if err != nil {
		return p, err
	}
	if !sameShadow(now, facts.ShadowAs, facts.Deferred) { // a swap that was broken off leaves it without its helper
		if now, err = r.helperAgain(ctx, conn); err != nil {
			return p, err
		}
	}
	if !sameShadow(now, facts.ShadowAs, facts.Deferred) {
		return p, &unfit{"somebody changed the definition of the new table " + r.shadow.String()}
	}
	return p, nil
}

// helperAgain makes what the shadow has for the time of the copy, and returns its
// definition.
func (r *run) helperAgain(ctx context.Context, conn *sql.Conn) (string, error) {
	w := r.worker()
	defer w.close()
	if err := r.rebuildHelper(ctx, w); err != nil && !mysqld.IsServerError(err) {
		return "", err
	}
	return definitionOf(ctx, conn, r.shadow)
}

// sameShadow compares two definitions but for the table's name and the indexes that are
// built at the end.
func sameShadow(now, then string, deferred []plan.Index) bool {
	lines := func(text string) []string {
		all := strings.Split(text, "\n")[1:]
		for i, line := range all {
			all[i] = strings.TrimSuffix(strings.TrimSpace(line), ",")
		}
		return slices.DeleteFunc(all, func(line string) bool {
			return slices.ContainsFunc(deferred, func(d plan.Index) bool { return line == d.Definition })
		})
	}
	return slices.Equal(lines(now), lines(then))
}

// goOn makes a fresh syncer one that has done what the checkpoint says.
func (s *syncer) goOn(ctx context.Context, from *Resume) error {
	s.copied = backlog.Resume(s.copied.Integers(), from.Watermark)
	lo := binlog.Key("")
	for _, hi := range from.Ends {
		s.ranges = append(s.ranges, chunk.Range{Lo: lo, Hi: hi})
		lo = hi
	}
	s.ends, s.saved = from.Ends, len(from.Ends)
	s.count.rows, s.status.RowsCopied = from.Rows, from.Rows
	s.count.lost.Store(true)
	s.ownTriggers = len(s.original.Triggers) > 0
	// A row may differ though no change of its own is behind the position: it was in
	// another's way, or the server has lost it.
	s.verify.Mend()
	w := s.worker(rowSession(s.request.Settings, s.plan)...)
	defer w.close()
	var beyond int64
	err := retry(ctx, patience, func() error {
		return w.use(ctx, func(conn *sql.Conn) error {
			result, err := conn.ExecContext(ctx, s.tables.DeleteRange(chunk.Range{Lo: from.Watermark}))
			if err == nil {
				beyond, err = result.RowsAffected()
			}
			return err
		})
	})
	if err != nil {
		return fmt.Errorf("delete the rows of the new table that are beyond the checkpoint: %w", err)
	}
	s.log(ctx, "gone on from a checkpoint: about %d rows are copied in %d chunks, %d rows beyond are copied again; the binlog is read from %s", from.Rows, len(from.Ends), beyond, from.Position)
	return nil
}

// usable tells why a checkpoint can't be gone on from; "": it can.
func (c *Resume) usable() string {
	switch {
	case c == nil:
		return "there is no checkpoint"
	case c.Version != factsVersion:
		return fmt.Sprintf("the checkpoint is of version %d", c.Version)
	case c.Position.IsZero():
		return "the copy had just begun"
	}
	// Where the ends end after the watermark the record is that of two writers.
	i := slices.Index(c.Ends, c.Watermark)
	if c.Watermark != "" && i < 0 {
		return "the record of the chunks is not complete"
	}
	c.Ends = c.Ends[:i+1]
	return ""
}
