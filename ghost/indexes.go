package ghost

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"midflight/ghost/plan"
	"midflight/mysqld"
	"midflight/schema"
)

// Indexes that the copy can do without are taken off the empty shadow, and built when
// its rows are there: to sort once is quicker than to look for the place of each entry,
// and the entries lie as close as in a new table. (docs/decisions/0019.)

// deferIndexes takes them off, once it is sure that they will come back as they were.
func (r *run) deferIndexes(ctx context.Context, altered *schema.Table, p plan.Plan) error {
	before, err := schema.CreateStatement(ctx, r.DB, r.scratch.table)
	if err != nil {
		return err
	}
	deferred := plan.Deferred(altered, p.Key, before, r.Flavor.MariaDB)
	replicas, err := r.hasReplicas(ctx)
	if err != nil {
		return err
	}
	if !plan.MayDefer(r.original.Rows, len(deferred), replicas) {
		if len(deferred) > 0 {
			r.log(ctx, "the indexes are there from the start: built at the end, they would hold up the replicas for about %.0f s", plan.BuildSeconds(r.original.Rows, len(deferred)))
		}
		return nil
	}
	ddl := r.worker(r.buildSession()...)
	defer ddl.close()
	return ddl.use(ctx, func(conn *sql.Conn) error {
		for _, statement := range []string{dropIndexes(r.status.ID, r.scratch.table, deferred), addIndexes(r.status.ID, r.scratch.table, deferred)} {
			if _, err := conn.ExecContext(ctx, statement); mysqld.IsServerError(err) && !mysqld.IsKilled(err) {
				r.log(ctx, "the indexes are there from the start: the server does not take one off and build it in place (%v)", err)
				return r.makeScratchAgain(ctx)
			} else if err != nil {
				return fmt.Errorf("try to build indexes at the end: %w", err)
			}
		}
		after, err := schema.CreateStatement(ctx, r.DB, r.scratch.table)
		if err != nil {
			return err
		}
		if after != before {
			r.log(ctx, "the indexes are there from the start: built at the end, the definition would be another")
			return r.makeScratchAgain(ctx)
		}
		if _, err := conn.ExecContext(ctx, dropIndexes(r.status.ID, r.shadow, deferred)); err != nil {
			return fmt.Errorf("take the indexes off the empty table: %w", err)
		}
		r.deferred = deferred
		return nil
	})
}

// makeScratchAgain, since it tells duplicates by its indexes.
func (r *run) makeScratchAgain(ctx context.Context) error {
	if err := r.alone(ctx, "DROP TABLE /* midflight */ "+r.scratch.table.Quoted()); err != nil {
		return fmt.Errorf("make the scratch table again: %w", err)
	}
	plain := r.plainWorker()
	defer plain.close()
	if err := r.makeTwin(ctx, plain, r.scratch.table); err != nil {
		return err
	}
	ddl := r.worker(append(scratchSession(r.request.Settings), "USE "+mysqld.QuoteName(r.scratch.schema))...)
	defer ddl.close()
	return ddl.use(ctx, func(conn *sql.Conn) error {
		_, err := conn.ExecContext(ctx, text(r.request.Statement, r.scratch.table, "", ""))
		return wrap(err, "make the scratch table again")
	})
}

// hasReplicas: somebody other than a Midflight reads the binlog, or the server is one
// of a cluster.
func (r *run) hasReplicas(ctx context.Context) (bool, error) {
	readers, err := r.binlogReaders(ctx)
	if err != nil || len(readers) > 0 {
		return err == nil, err
	}
	return r.inCluster(ctx)
}

func (r *run) inCluster(ctx context.Context) (others bool, err error) {
	query := "SELECT /* midflight */ COUNT(*) > 1 FROM performance_schema.replication_group_members WHERE member_state <> 'OFFLINE'"
	if r.Flavor.MariaDB {
		query = "SELECT /* midflight */ COUNT(*) > 0 FROM information_schema.global_status WHERE variable_name = 'wsrep_cluster_size' AND variable_value > 1"
	}
	err = r.DB.QueryRowContext(ctx, query).Scan(&others)
	return others, wrap(err, "ask whether the server is one of a cluster")
}

// binlogReaders are who reads the binlog, Midflights left out.
func (r *run) binlogReaders(ctx context.Context) ([]mysqld.Process, error) {
	all, err := mysqld.Processes(ctx, r.DB)
	return slices.DeleteFunc(all, func(p mysqld.Process) bool { return !p.IsBinlogDump() || p.User == r.Server.User }), wrap(err, "ask whether the server has replicas")
}

// buildSession lets the server use as many threads for sorting as we use for copying, and
// more memory than its default of one megabyte for each.
func (r *run) buildSession() []string {
	session := plainSession(r.Flavor)
	if !r.Flavor.MariaDB && r.Flavor.Version >= 80027 {
		session = append(session, fmt.Sprintf("SET /* midflight */ SESSION innodb_ddl_threads = %d, innodb_parallel_read_threads = %[1]d, innodb_ddl_buffer_size = %[2]d", leastWidth, leastWidth*16<<20))
	}
	return session
}

// buildIndexes makes the shadow's indexes, while nothing is applied: the server would
// have to note each change beside, in a log that is bounded. The binlog is read on as long
// as there is room for its keys.
func (s *syncer) buildIndexes(ctx context.Context) error {
	if len(s.deferred) == 0 {
		return nil
	}
	began, done := time.Now(), false
	s.building = began
	s.start(indexJob, func(ctx context.Context) func() error {
		err := s.build(ctx)
		return func() error {
			done = true
			return err
		}
	})
	if err := s.pump(ctx, func() bool { return done }); err != nil {
		return err
	}
	s.log(ctx, "%d indexes built in %s", len(s.deferred), time.Since(began).Round(10*time.Millisecond))
	s.building, s.readers = time.Time{}, nil
	return nil
}

// readersOf lists who has the new table locked: the building ends by having it alone,
// and waits for a dump of all tables as long as that takes.
func (c *Config) readersOf(ctx context.Context, shadow schema.Name) ([]Blocker, error) {
	tells, err := tellsLocks(ctx, c.DB, c.Flavor)
	if err != nil {
		return nil, err
	}
	g := &gap{run: &run{Config: *c}, tables: []schema.Name{shadow}, plugin: tells}
	around, err := g.around(ctx)
	return slices.Collect(maps.Values(around)), err
}

// build may be repeated: a statement whose answer was lost is ended first, and what it
// has made is not made again.
func (s *syncer) build(ctx context.Context) error {
	w := s.worker(s.buildSession()...)
	defer w.close()
	err := retry(ctx, patience, func() error {
		return w.use(ctx, func(conn *sql.Conn) error {
			var id uint64
			if err := conn.QueryRowContext(ctx, "SELECT /* midflight */ CONNECTION_ID()").Scan(&id); err != nil {
				return err
			}
			table, err := schema.Read(ctx, conn, s.shadow)
			if err != nil {
				return err
			}
			missing := slices.DeleteFunc(slices.Clone(s.deferred), func(i plan.Index) bool {
				return slices.ContainsFunc(table.Keys, func(k schema.Key) bool { return k.Name == i.Name })
			})
			if len(missing) == 0 {
				return nil
			}
			// Closing the connection would not end it.
			ended := make(chan struct{})
			stop := context.AfterFunc(ctx, func() {
				defer close(ended)
				s.endSession(context.WithoutCancel(ctx), id)
			})
			_, err = conn.ExecContext(context.WithoutCancel(ctx), addIndexes(s.status.ID, s.shadow, missing))
			if !stop() {
				<-ended
				return context.Cause(ctx)
			}
			if mysqld.IsConnectionLost(err) {
				if gone := s.endSession(ctx, id); gone != nil {
					return gone
				}
			}
			return err
		})
	})
	return wrap(err, "build the indexes of the new table")
}

func dropIndexes(id int64, t schema.Name, indexes []plan.Index) string {
	return alterIndexes(id, t, indexes, func(i plan.Index) string { return "DROP INDEX " + mysqld.QuoteName(i.Name) })
}

func addIndexes(id int64, t schema.Name, indexes []plan.Index) string {
	return alterIndexes(id, t, indexes, func(i plan.Index) string { return "ADD " + i.Definition })
}

func alterIndexes(id int64, t schema.Name, indexes []plan.Index, change func(plan.Index) string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "ALTER TABLE /* midflight m%d */ %s", id, t.Quoted())
	for _, i := range indexes {
		b.WriteString("\n  " + change(i) + ",")
	}
	return b.String() + "\n  ALGORITHM=INPLACE"
}
