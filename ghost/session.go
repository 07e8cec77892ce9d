package ghost

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"

	"midflight/ghost/plan"
	"midflight/mysqld"
	"midflight/schema"
)

// A worker owns one server connection with the settings of a migration, and
// opens another when that one is lost. It belongs to one goroutine at a time.
type worker struct {
	db    *sql.DB
	admit func(context.Context, *sql.Conn) error // before anything else
	init  []string                               // statements that make a fresh session ours
	conn  *sql.Conn
}

// worker is one for a migration, which writes nothing when that is not ours any more.
func (c *Config) worker(id int64, init ...string) *worker {
	return &worker{db: c.DB, init: init, admit: func(ctx context.Context, conn *sql.Conn) error { return c.Store.Admit(ctx, conn, id) }}
}

// reader is one that writes nothing.
func (c *Config) reader(init ...string) *worker {
	return &worker{db: c.DB, init: init, admit: func(context.Context, *sql.Conn) error { return nil }}
}

func (r *run) worker(init ...string) *worker {
	if r.dry { // nobody may have to wait behind it for long
		init = append(slices.Clone(init), "SET /* midflight */ SESSION lock_wait_timeout = 5")
	}
	return r.Config.worker(r.status.ID, init...)
}

// drop drops a table of the migration's.
func (r *run) drop(ctx context.Context, t schema.Name) error {
	return r.Config.dropOf(ctx, r.status.ID, t)
}

// alone runs one statement that must not be run when the migration is not ours.
func (r *run) alone(ctx context.Context, statement string) error {
	return r.Config.alone(ctx, r.status.ID, statement)
}

func (c *Config) alone(ctx context.Context, id int64, statement string) error {
	w := c.worker(id)
	defer w.close()
	return w.use(ctx, func(conn *sql.Conn) error {
		_, err := conn.ExecContext(ctx, statement)
		return err
	})
}

// use gives f the connection. A lost one is replaced at the next use; whether
// f's statement ran is then not known, so f must be safe to run again.
func (w *worker) use(ctx context.Context, f func(*sql.Conn) error) error {
	if w.conn == nil {
		conn, err := w.db.Conn(ctx)
		if err != nil {
			return fmt.Errorf("connect: %w", err)
		}
		if err := w.admit(ctx, conn); err != nil {
			discard(conn)
			return err
		}
		for _, q := range w.init {
			if _, err := conn.ExecContext(ctx, q); err != nil {
				discard(conn)
				return fmt.Errorf("set up a session (%s): %w", q, err)
			}
		}
		w.conn = conn
	}
	err := f(w.conn)
	if err != nil && !mysqld.IsServerError(err) {
		w.close()
	}
	return err
}

func (w *worker) close() {
	if w.conn != nil {
		discard(w.conn)
		w.conn = nil
	}
}

// discard closes the connection itself instead of giving it back to the pool:
// its session has settings, and perhaps locks, of ours.
func discard(c *sql.Conn) {
	c.Raw(func(any) error { return errDiscard })
	c.Close()
}

// rowSession is for statements that move rows: the user's sql_mode and time
// zone decide how values convert; everything that would add locks, checks or
// limits of its own is off.
//
// The user's time zone counts only where a TIMESTAMP becomes another type or is
// made of one, or where an expression of the new table reads it: everywhere else it would do harm. INSERT … SELECT may carry a
// TIMESTAMP over by way of local time, and then the hour that summer time
// repeats comes out an hour off.
func rowSession(settings []Setting, p plan.Plan) []string {
	relaxed := p.Relaxed
	mode, zone := "", ""
	var own []string
	for _, s := range settings {
		switch s.Name {
		case "sql_mode":
			mode = s.Value
		case "time_zone":
			zone = s.Value
		case "lc_time_names", "div_precision_increment", "default_week_format": // expressions of the new table depend on them
			own = append(own, strings.TrimPrefix(s.assignment(), "SESSION "))
		}
	}
	set := []string{
		"sql_mode = " + mysqld.QuoteString(rowMode(mode, relaxed)),
		"foreign_key_checks = 0",
		"sql_safe_updates = 0",
		"sql_select_limit = DEFAULT",
		"autocommit = 1",
	}
	if zone != "" && (p.Zoned || slices.ContainsFunc(p.Columns, plan.Mapping.CrossesZones)) {
		set = append(set, "time_zone = "+mysqld.QuoteString(zone))
	}
	set = append(set, own...)
	return []string{
		"SET /* midflight */ SESSION " + strings.Join(set, ", "),
		// Consistent reads of INSERT … SELECT lock nothing on the original.
		"SET /* midflight */ SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
	}
}

// rowMode is the user's sql_mode as ALTER TABLE applies it to rows. An id of 0
// is carried over as 0 (ALTER TABLE does so too). Modes that change how our own
// statements are read are left out.
func rowMode(mode string, relaxed bool) string {
	var modes []string
	for _, m := range strings.Split(mode, ",") {
		switch m {
		case "TRADITIONAL", // its parts are listed beside it; it would bring them back
			"ANSI_QUOTES", "ANSI", "PIPES_AS_CONCAT", "NO_BACKSLASH_ESCAPES", "IGNORE_SPACE", "PAD_CHAR_TO_FULL_LENGTH",
			"ONLY_FULL_GROUP_BY", "NO_UNSIGNED_SUBTRACTION", "ORACLE", "MSSQL", "DB2", "POSTGRESQL", "MAXDB", "EMPTY_STRING_IS_NULL", "":
			continue
		case "NO_ZERO_DATE", "NO_ZERO_IN_DATE":
			if relaxed {
				continue
			}
		}
		modes = append(modes, m)
	}
	modes = append(modes, "NO_AUTO_VALUE_ON_ZERO")
	if relaxed {
		modes = append(modes, "ALLOW_INVALID_DATES")
	}
	return strings.Join(modes, ",")
}

// ddlSession is for the user's own statement: all of his settings, in one statement, so that
// none of them says how another is read.
func ddlSession(settings []Setting) []string {
	if len(settings) == 0 {
		return nil
	}
	set := make([]string, len(settings))
	for i, s := range settings {
		set[i] = s.assignment()
	}
	return []string{"SET /* midflight */ " + strings.Join(set, ", ")}
}

// scratchSession is the same for tables of ours, which have no foreign keys.
func scratchSession(settings []Setting) []string {
	return ddlSession(append(slices.Clone(settings), Setting{"foreign_key_checks", "0"}))
}
