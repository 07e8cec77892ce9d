package ghost

import (
	"context"
	"database/sql"
	"fmt"
	"regexp"
	"time"

	"midflight/mysqld"
	"midflight/schema"
)

// apartSchema is how the schemas of apartShadow and apartOld are called. A user's own
// may begin with the same letters.
var apartSchema = regexp.MustCompile(`^` + ourSchemas + `\d+_(shadow|old)$`)

// drop removes a table of ours and the claim on its name.
func (c *Config) drop(ctx context.Context, t schema.Name) error { return c.dropBy(ctx, c.DB, t) }

// dropOf does so unless the migration, whose table it is, is not ours any more: the table
// may then be that of another's attempt.
func (c *Config) dropOf(ctx context.Context, id int64, t schema.Name) error {
	w := c.worker(id)
	defer w.close()
	return w.use(ctx, func(conn *sql.Conn) error { return c.dropBy(ctx, conn, t) })
}

func (c *Config) dropBy(ctx context.Context, by mysqld.Queryer, t schema.Name) error {
	if _, err := by.ExecContext(ctx, "DROP TABLE /* midflight */ IF EXISTS "+t.Quoted()); err != nil {
		return fmt.Errorf("drop %s: %w", t, err)
	}
	if apartSchema.MatchString(t.Schema) {
		// Not with a table that is not ours, whoever has put it there.
		var left int
		err := c.DB.QueryRowContext(ctx, `SELECT /* midflight */ (SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = ?)
+ (SELECT COUNT(*) FROM information_schema.routines WHERE routine_schema = ?) + (SELECT COUNT(*) FROM information_schema.events WHERE event_schema = ?)`, t.Schema, t.Schema, t.Schema).Scan(&left)
		if err != nil {
			return fmt.Errorf("ask what else is in the schema %s: %w", t.Schema, err)
		}
		if left > 0 {
			return c.Store.Release(ctx, t)
		}
		if _, err := by.ExecContext(ctx, "DROP DATABASE /* midflight */ IF EXISTS "+mysqld.QuoteName(t.Schema)); err != nil {
			return fmt.Errorf("drop the schema %s: %w", t.Schema, err)
		}
	}
	return c.Store.Release(ctx, t)
}

// dropScratches drops schemas of a migration's own, unless it is not ours any more.
func (c *Config) dropScratches(ctx context.Context, id int64, scratches ...scratch) error {
	w := c.worker(id)
	defer w.close()
	return w.use(ctx, func(conn *sql.Conn) error {
		for _, sc := range scratches {
			if err := sc.drop(ctx, conn); err != nil {
				return err
			}
		}
		return nil
	})
}

// keepOld leaves the old table for a while: dropping it in the moment of the
// swap would stall the server (promise 3), and it is the way back.
func (c *Config) keepOld(ctx context.Context, id int64, old schema.Name) error {
	if c.KeepOld <= 0 {
		return c.drop(ctx, old)
	}
	return c.Store.Keep(ctx, id, old, time.Now().Add(c.KeepOld))
}
