package ghost

import (
	"context"
	"fmt"
	"strings"
	"time"

	"midflight/mysqld"
	"midflight/schema"
)

// drop removes a table of ours and the claim on its name.
func (c *Config) drop(ctx context.Context, t schema.Name) error {
	if _, err := c.DB.ExecContext(ctx, "DROP TABLE /* midflight */ IF EXISTS "+t.Quoted()); err != nil {
		return fmt.Errorf("drop %s: %w", t, err)
	}
	if strings.HasPrefix(t.Schema, ourSchemas) {
		if _, err := c.DB.ExecContext(ctx, "DROP DATABASE /* midflight */ IF EXISTS "+mysqld.QuoteName(t.Schema)); err != nil {
			return fmt.Errorf("drop the schema %s: %w", t.Schema, err)
		}
	}
	return c.Store.Release(ctx, t)
}

// keepOld leaves the old table for a while: dropping it in the moment of the
// swap would stall the server (promise 3), and it is the way back.
func (c *Config) keepOld(ctx context.Context, id int64, old schema.Name) error {
	if c.KeepOld <= 0 {
		return c.drop(ctx, old)
	}
	return c.Store.Keep(ctx, id, old, time.Now().Add(c.KeepOld))
}
