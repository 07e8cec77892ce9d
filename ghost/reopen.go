package ghost

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"midflight/mysqld"
	"midflight/schema"
)

// readTable reads a definition, also that of a table which MariaDB has read by half
// (reopenTables).
func (c *Config) readTable(ctx context.Context, id int64, name schema.Name) (*schema.Table, error) {
	t, err := schema.Read(ctx, c.DB, name)
	if !c.Flavor.MariaDB || !isHalfRead(err) {
		return t, err
	}
	w := c.worker(id, mendSession)
	defer w.close()
	err = w.use(ctx, func(conn *sql.Conn) error {
		if _, err := conn.ExecContext(ctx, "LOCK /* midflight */ TABLES "+name.Quoted()+" WRITE"); err != nil {
			return wrap(err, "lock %s to have it closed and opened", name)
		}
		return reopenTables(ctx, conn, []schema.Name{name})
	})
	if err != nil {
		return nil, err
	}
	return schema.Read(ctx, c.DB, name)
}

// mendSession: everybody who wants the table queues behind its lock.
const mendSession = "SET /* midflight */ SESSION lock_wait_timeout = 2, wait_timeout = 10"

// reopenTables, on a session that has all of them locked, has MariaDB forget what it
// keeps of them; with the locks, so the session itself must lock them anew.
//
// A KILL that meets a statement just when it opens a table breaks off the reading of its
// triggers. MariaDB takes that for errors in their texts, and keeps the open table: every
// write to it fails then with error 1064, DROP TRIGGER does nothing and says OK, and the
// definitions can't be read (1602, 1360), until the table is closed (10.11.18). REPAIR
// closes it, without the right to FLUSH; of InnoDB's tables it does no more than that.
func reopenTables(ctx context.Context, conn *sql.Conn, names []schema.Name) error {
	for _, n := range names {
		if err := reopenTable(ctx, conn, n); err != nil {
			return fmt.Errorf("have %s closed and opened: %w", n, err)
		}
	}
	_, err := conn.ExecContext(ctx, "UNLOCK /* midflight */ TABLES")
	return err
}

func reopenTable(ctx context.Context, conn *sql.Conn, n schema.Name) error {
	var table, op, kind, text string
	if err := conn.QueryRowContext(ctx, "REPAIR /* midflight */ LOCAL TABLE "+n.Quoted()).Scan(&table, &op, &kind, &text); err != nil {
		return err
	}
	if strings.EqualFold(kind, "error") {
		return errors.New(text)
	}
	return nil
}

// isHalfRead: what a statement may end with on such a table.
func isHalfRead(err error) bool {
	switch mysqld.Number(err) {
	case mysqld.ErrParse, mysqld.ErrCorruptTriggers, mysqld.ErrNoSuchTrigger, mysqld.ErrTriggerExists:
		return true
	}
	return false
}
