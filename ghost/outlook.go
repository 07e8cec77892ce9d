package ghost

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"midflight/ghost/plan"
	"midflight/ghost/rowsql"
	"midflight/mysqld"
	"midflight/schema"
)

// An Outlook is what a migration would do. It is made by what the migration itself is
// prepared with, in a scratch schema that is dropped again.
type Outlook struct {
	Plan     plan.Plan
	Refused  error // nil: it is not; else a *plan.Refusal, or the server's own error
	Warnings []Warning
	Strict   bool // sql_mode refuses what does not fit
	Original *schema.Table
	Altered  *schema.Table // nil: it was not tried, or can't be
	Losses   []string      // what no later ALTER brings back
	Blockers []Blocker     // who would be waited for now; what they run is left out
	Replicas []string      // who reads the binlog, by host
	Cluster  bool          // the server is one of several
	// Of a copy:
	Sample   Sample
	Deferred int   // indexes that are built at the end
	Table    int64 // bytes that the new table may take
	Binlog   int64 // bytes that its rows may take there
	Room     []Place
}

// Claims tells which tables are Midflight's.
type Claims interface {
	Ours(ctx context.Context, t schema.Name) (bool, error)
}

// explainBound is how long an Explain may take. What it needs of others is a shared lock on
// the table's definition, for a moment.
const explainBound = 30 * time.Second

// Explain tells what a migration would do, and changes nothing. What can't be done is in
// the outlook; the error is of the telling.
func Explain(ctx context.Context, c Config, claims Claims, request Request) (o *Outlook, err error) {
	ctx, cancel := context.WithTimeout(ctx, explainBound)
	defer cancel()
	c.Store = untold{Claims: claims}
	c = c.complete()
	r := &run{Config: c, request: request, dry: true, attempt: newAttempt(0, request.Table)}
	if err := dropStale(ctx, c.DB); err != nil {
		return nil, err
	}
	mine, err := r.ownScratch(ctx)
	if err != nil {
		return nil, err
	}
	defer func() {
		bound, cancel := context.WithTimeout(context.WithoutCancel(ctx), explainBound)
		defer cancel()
		err = errors.Join(err, r.scratch.drop(bound, c.DB))
		discard(mine) // with its lock, after the schema
	}()
	return r.explain(ctx)
}

// untold is a store in which nothing is written.
type untold struct {
	unrecorded
	Claims
}

func (u untold) Ours(ctx context.Context, t schema.Name) (bool, error) {
	return u.Claims.Ours(ctx, t)
}
func (untold) Claim(context.Context, int64, schema.Name) error { return nil }
func (untold) Release(context.Context, schema.Name) error      { return nil }

// Scratch schemas of an Explain live as long as a lock by their name: one that was killed
// leaves its schema to whoever comes next.
const explainSchemas = ourSchemas + "plan_"

func explainLock(schema string) string { return "midflight." + strings.TrimPrefix(schema, ourSchemas) }

// ownScratch gives the run a scratch schema of its own; the connection has its lock.
func (r *run) ownScratch(ctx context.Context) (*sql.Conn, error) {
	random := make([]byte, 6)
	rand.Read(random)
	r.scratch.schema = explainSchemas + hex.EncodeToString(random)
	r.scratch.table.Schema = r.scratch.schema
	conn, err := r.DB.Conn(ctx)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	var got sql.NullBool
	_, err = conn.ExecContext(ctx, "SET /* midflight */ SESSION wait_timeout = 600")
	if err == nil {
		err = conn.QueryRowContext(ctx, "SELECT /* midflight */ GET_LOCK(?, 0)", explainLock(r.scratch.schema)).Scan(&got)
	}
	if err != nil || !got.Bool {
		discard(conn)
		return nil, fmt.Errorf("take the lock of the scratch schema %s: %w", r.scratch.schema, err)
	}
	return conn, nil
}

// dropStale drops what an Explain that was killed has left.
func dropStale(ctx context.Context, db *sql.DB) error {
	rows, err := db.QueryContext(ctx, "SELECT /* midflight */ schema_name FROM information_schema.schemata WHERE schema_name LIKE ? AND IS_FREE_LOCK(CONCAT('midflight.', SUBSTRING(schema_name, ?)))",
		strings.ReplaceAll(explainSchemas, "_", `\_`)+"%", len(ourSchemas)+1)
	if err != nil {
		return fmt.Errorf("look for scratch schemas that were left: %w", err)
	}
	defer rows.Close()
	var left []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return err
		}
		left = append(left, name)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	for _, name := range left {
		if err := (scratch{schema: name}).drop(ctx, db); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) explain(ctx context.Context) (*Outlook, error) {
	o := &Outlook{}
	var err error
	o.Plan, o.Warnings, err = r.prepare(ctx)
	if o.Original = r.original; o.Original == nil {
		return o, err
	}
	var refusal *plan.Refusal
	var blocked *BlockedError
	switch {
	case mysqld.IsLockConflict(err):
		return o, fmt.Errorf("somebody has %s locked, try again later: %w", r.request.Table, err)
	case errors.As(err, &refusal), errors.As(err, &blocked), mysqld.IsServerError(err) && !mysqld.IsKilled(err):
		o.Refused, o.Plan = err, plan.Plan{}
	case err != nil:
		return o, err
	}
	o.Strict = strings.Contains(r.setting("sql_mode"), "STRICT_")
	altered, err := schema.Read(ctx, r.DB, r.scratch.table)
	if err == nil && o.Refused == nil {
		o.Altered = altered
		o.Losses = plan.Losses(r.request.Statement, r.original, altered, r.Flavor.MariaDB)
	} else if err != nil && !errors.Is(err, schema.ErrNotFound) {
		return o, err
	}
	if o.Refused != nil {
		return o, nil
	}
	if err := r.readReplicas(ctx, o); err != nil {
		return o, err
	}
	if o.Blockers, err = r.inTheWay(ctx, o.Plan.Path == plan.Copy); err != nil {
		return o, err
	}
	if o.Plan.Path != plan.Copy {
		return o, nil
	}
	need, places, err := r.roomFor(ctx)
	if err != nil {
		return o, err
	}
	o.Table, o.Binlog, o.Room = need.table, need.binlog, places
	o.Deferred = len(r.deferred)
	o.Sample, err = r.sample(ctx, o.Plan)
	return o, err
}

// tryOnScratch is what choose does with the shadow, as far as it decides anything.
func (r *run) tryOnScratch(ctx context.Context, conn *sql.Conn, p plan.Plan, tables rowsql.Tables) (plan.Plan, error) {
	var err error
	if tables.Started, err = readTime(ctx, conn); err != nil {
		return p, err
	}
	r.shadow = r.scratch.table
	tables.Shadow = r.shadow
	r.tables = tables
	altered, err := schema.Read(ctx, r.DB, r.scratch.table) // before it has the helper
	if err != nil {
		return p, err
	}
	created, err := schema.CreateStatement(ctx, r.DB, r.scratch.table)
	if err != nil {
		return p, err
	}
	if p, err = r.makeHelper(ctx, p); err != nil || p.Path != plan.Copy {
		return p, err
	}
	deferred := plan.Deferred(altered, p.Key, created, r.Flavor.MariaDB)
	replicas, err := r.hasReplicas(ctx)
	if err == nil && plan.MayDefer(r.original.Rows, len(deferred), replicas) {
		r.deferred = deferred
	}
	return p, err
}

// inTheWay is who would be waited for at the swap, if it were now.
func (r *run) inTheWay(ctx context.Context, copied bool) ([]Blocker, error) {
	g, err := r.newGap(ctx, r.request.Table)
	if err != nil {
		return nil, err
	}
	g.copied = copied
	blockers, err := g.blocked(ctx, sleep)
	for i := range blockers {
		blockers[i].Statement = ""
	}
	return blockers, err
}

// readReplicas lists who reads the binlog, Midflights left out.
func (r *run) readReplicas(ctx context.Context, o *Outlook) error {
	readers, err := r.binlogReaders(ctx)
	if err != nil {
		return err
	}
	for _, p := range readers {
		o.Replicas = append(o.Replicas, p.Host)
	}
	slices.Sort(o.Replicas)
	if len(o.Replicas) == 0 {
		o.Cluster, err = r.inCluster(ctx)
	}
	return err
}
