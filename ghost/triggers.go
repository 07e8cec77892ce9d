package ghost

import (
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"midflight/ghost/plan"
	"midflight/mysqld"
	"midflight/parser"
	"midflight/schema"
)

// Triggers stay with the original until the swap, so that ours never fires for
// our own writes and the application's never doesn't. A trigger's name exists
// once per schema, so they move under the cut-over's lock: nobody can write
// meanwhile. Should our session die in between, the server gives the lock up and
// a table is without triggers until they are made again (mendTriggers): by us, or
// by whoever finds the orphan. For that they are in the store before.

// tryTriggers creates the triggers on the altered scratch table and drops them
// again. What the server says is a refusal: a trigger that uses a column that is
// dropped or renamed, a definer for whom the account may not speak.
func (r *run) tryTriggers(ctx context.Context) error {
	if len(r.original.Triggers) == 0 {
		return nil
	}
	var collation string
	if err := r.DB.QueryRowContext(ctx, "SELECT /* midflight */ default_collation_name FROM information_schema.schemata WHERE schema_name = ?", r.original.Name.Schema).Scan(&collation); err != nil {
		return fmt.Errorf("read the collation of %s: %w", r.original.Name.Schema, err)
	}
	w := r.worker()
	defer w.close()
	return w.use(ctx, func(conn *sql.Conn) error {
		for _, tr := range r.original.Triggers {
			if tr.Database != collation {
				return &plan.Refusal{
					Reason: fmt.Sprintf("the trigger %s was made when the schema's collation was %s; now it is %s, and it can't be made again as it is", tr.Name, tr.Database, collation),
					Hint:   "Drop the trigger and create it again",
				}
			}
			err := createTrigger(ctx, conn, r.Flavor, tr, parser.Name{Schema: r.scratch.schema, Table: tr.Name}, r.scratch.table)
			if mysqld.IsServerError(err) && !mysqld.IsKilled(err) && !mysqld.IsLockConflict(err) || errors.Is(err, errTriggerText) {
				return &plan.Refusal{
					Reason: fmt.Sprintf("the trigger %s can't be carried over: %v", tr.Name, err),
					Hint:   "Drop the trigger, or mend it, or let the server run the statement and block the table meanwhile: SET @midflight_strategy = 'direct'",
				}
			}
			if err != nil {
				return err
			}
		}
		for _, tr := range r.original.Triggers { // explain.go writes to the table
			if err := dropTrigger(ctx, conn, r.status.ID, schema.Name{Schema: r.scratch.schema, Table: tr.Name}); err != nil {
				return err
			}
		}
		return nil
	})
}

var errTriggerText = errors.New("its text is not understood")

// createTrigger makes tr on a table. Everything that CREATE TRIGGER takes from
// its session is set before, the time of creation too. name is zero where the
// trigger's own is to stay.
func createTrigger(ctx context.Context, conn *sql.Conn, f mysqld.Flavor, tr schema.Trigger, name parser.Name, on schema.Name) error {
	mode := parser.ParseMode(tr.SQLMode)
	mode.MariaDB, mode.Version = f.MariaDB, f.Version
	text, ok := parser.TriggerOn(tr.Statement, mode, name, parser.Name{Table: on.Table})
	if !ok {
		return errTriggerText
	}
	at := tr.Created
	if at == "" {
		at = "DEFAULT"
	}
	if _, err := conn.ExecContext(ctx, "USE "+mysqld.QuoteName(on.Schema)); err != nil {
		return wrap(err, "create the trigger %s", tr.Name)
	}
	text, err := encode(ctx, conn, text, tr.Client)
	if err != nil {
		return err
	}
	_, err = conn.ExecContext(ctx, fmt.Sprintf("SET /* midflight */ SESSION sql_mode = %s, timestamp = %s, character_set_client = %s, collation_connection = %s",
		mysqld.QuoteString(tr.SQLMode), at, mysqld.QuoteString(tr.Client), mysqld.QuoteString(tr.Connection)))
	if err != nil {
		return wrap(err, "create the trigger %s", tr.Name)
	}
	_, err = conn.ExecContext(ctx, text)
	if _, back := conn.ExecContext(ctx, "SET /* midflight */ SESSION sql_mode = '', timestamp = DEFAULT, character_set_client = utf8mb4, collation_connection = utf8mb4_general_ci"); err == nil {
		err = back
	}
	return wrap(err, "create the trigger %s", tr.Name)
}

// encode has the server write a text in another character set.
func encode(ctx context.Context, conn *sql.Conn, text, charset string) (string, error) {
	var in string
	err := conn.QueryRowContext(ctx, fmt.Sprintf("SELECT /* midflight */ HEX(CONVERT(_utf8mb4 x'%x' USING %s))", text, charset)).Scan(&in)
	if err != nil {
		return "", fmt.Errorf("write a trigger in %s: %w", charset, err)
	}
	b, err := hex.DecodeString(in)
	return string(b), err
}

func dropTrigger(ctx context.Context, conn *sql.Conn, id int64, name schema.Name) error {
	_, err := conn.ExecContext(ctx, fmt.Sprintf("DROP TRIGGER /* midflight m%d */ IF EXISTS %s", id, name.Quoted()))
	return wrap(err, "drop the trigger %s", name)
}

// takeTriggers takes the triggers off a table.
func (s *syncer) takeTriggers(ctx context.Context, conn *sql.Conn) error {
	for _, tr := range s.original.Triggers {
		if err := dropTrigger(ctx, conn, s.status.ID, s.original.Name.With(tr.Name)); err != nil {
			return err
		}
	}
	return nil
}

// giveTriggers makes them on another, in the order in which they fire.
func giveTriggers(ctx context.Context, conn *sql.Conn, f mysqld.Flavor, triggers []schema.Trigger, on schema.Name) error {
	for _, tr := range triggers {
		if err := createTrigger(ctx, conn, f, tr, parser.Name{}, on); err != nil {
			return err
		}
	}
	return nil
}

// journalTriggers records the triggers right before the first of them is moved,
// under the lock: whoever finds the record makes them again, and must not do so where
// somebody has dropped one after Midflight died long before the swap.
func (s *syncer) journalTriggers(ctx context.Context, within time.Duration) error {
	if len(s.original.Triggers) == 0 {
		return nil
	}
	bound, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	if err := s.Store.SaveTriggers(bound, s.status.ID, s.original.Triggers); err != nil {
		return fmt.Errorf("%w: %w", errTooSoon, err)
	}
	s.moving = true
	return nil
}

// mendTriggers makes sure that the live table has its triggers, whatever became
// of their moving; others are tables that may have some of them. It locks the
// tables meanwhile, and may be repeated.
func (c *Config) mendTriggers(ctx context.Context, id int64, triggers []schema.Trigger, live schema.Name, others ...schema.Name) (mended bool, err error) {
	if len(triggers) == 0 {
		return false, nil
	}
	names, err := schema.Existing(ctx, c.DB, append([]schema.Name{live}, others...)...)
	if err != nil || !slices.Contains(names, live) { // somebody has dropped it, and them
		return false, err
	}
	var locks []string
	for _, n := range names {
		locks = append(locks, n.Quoted()+" WRITE")
	}
	lock := "LOCK /* midflight */ TABLES " + strings.Join(locks, ", ")
	w := c.worker(id, mendSession)
	defer w.close()
	for try := 1; ; try++ {
		err := w.use(ctx, func(conn *sql.Conn) error {
			if c.Flavor.MariaDB { // else it may not be true what is read
				if _, err := conn.ExecContext(ctx, lock); err != nil {
					return wrap(err, "lock %s to look at its triggers", live)
				}
				if err := reopenTables(ctx, conn, names); err != nil {
					return err
				}
			}
			t, err := schema.Read(ctx, c.DB, live)
			if err != nil || slices.EqualFunc(t.Triggers, triggers, sameTrigger) {
				return err
			}
			mended = true
			if _, err := conn.ExecContext(ctx, lock); err != nil {
				return wrap(err, "lock %s to give it its triggers back", live)
			}
			return c.remakeTriggers(ctx, conn, id, triggers, live)
		})
		// On MariaDB a KILL QUERY of DROP TRIGGER can take the table out of the lock.
		broken := mysqld.Number(err) == mysqld.ErrTableNotLocked || mysqld.IsKilled(err) || c.Flavor.MariaDB && isHalfRead(err)
		if !broken || try == 5 {
			return mended, err
		}
		w.close()
	}
}

// forgetTriggers, after an attempt in vain: whoever finds the record would make them
// again, whatever became of them since.
func (s *syncer) forgetTriggers(ctx context.Context) error {
	if len(s.original.Triggers) == 0 {
		return nil
	}
	return retry(ctx, patience, func() error { return s.Store.SaveTriggers(ctx, s.status.ID, nil) })
}

// triggersAreBack, after an attempt that has moved them in vain: the migration goes on,
// with them as they are now. It returns why the attempt was in vain.
func (s *syncer) triggersAreBack(ctx context.Context, cause error) error {
	err := retry(ctx, patience, func() error {
		now, err := schema.Read(ctx, s.DB, s.original.Name)
		if err == nil && slices.EqualFunc(now.Triggers, s.original.Triggers, sameTrigger) {
			original := *s.original
			original.Triggers = now.Triggers
			s.original = &original
		}
		return err
	})
	if err != nil {
		return obstacle("the swap failed while the triggers were moved (%v); the table is as it was. Send the statement again", errors.Join(cause, err))
	}
	return cause
}

// makesTrigger tells whether a logged statement is the CREATE TRIGGER of one of these.
func makesTrigger(sql string, triggers []schema.Trigger) bool {
	words := parser.Names(sql, true)
	i := indexFold(words, "TRIGGER")
	if i < 1 || fold(words[0]) != "CREATE" {
		return false
	}
	name := nameEnd(words, i+1) - 1
	return name < len(words) && slices.ContainsFunc(triggers, func(tr schema.Trigger) bool { return strings.EqualFold(tr.Name, words[name]) })
}

// mendOrLog does so where the record of them is about to go. What the server refuses
// stays in the history.
func (c *Config) mendOrLog(ctx context.Context, id int64, triggers []schema.Trigger, live schema.Name, others ...schema.Name) error {
	_, err := c.mendTriggers(ctx, id, triggers, live, others...)
	if mysqld.IsServerError(err) && !mysqld.IsLockConflict(err) && !mysqld.IsKilled(err) && !mysqld.IsConnectionLost(err) {
		c.logLost(ctx, id, triggers, err)
		return nil
	}
	return err
}

func (c *Config) logLost(ctx context.Context, id int64, triggers []schema.Trigger, err error) {
	for _, tr := range triggers {
		c.Store.Log(ctx, id, note("THE TABLE HAS LOST A TRIGGER (%v). Under sql_mode '%s': %s", err, tr.SQLMode, tr.Statement))
	}
}

// remakeTriggers, on a session that has all tables locked that may have them,
// leaves the triggers on live.
func (c *Config) remakeTriggers(ctx context.Context, conn *sql.Conn, id int64, triggers []schema.Trigger, live schema.Name) error {
	for _, tr := range triggers {
		if err := dropTrigger(ctx, conn, id, live.With(tr.Name)); err != nil {
			return err
		}
	}
	return giveTriggers(ctx, conn, c.Flavor, triggers, live)
}

// sameTrigger: MariaDB writes the table's name anew when the table is renamed.
func sameTrigger(a, b schema.Trigger) bool {
	a.Statement, b.Statement = "", ""
	return a == b
}
