package store

import (
	"context"
	"database/sql"
	"fmt"

	"midflight/mysqld"
)

// A changedColumn is one that an older version made narrower, or not at all.
// CREATE TABLE IF NOT EXISTS leaves such a table as it is.
type changedColumn struct {
	table, column string
	characters    int64 // that it must hold
	definition    string
	also          string // what is added with it
	then          string // what the older rows are to have in it
}

// changed must say what schema.sql says.
var changed = []changedColumn{
	// It was VARCHAR(16), which has no room for a window's time zone. Up to 255
	// bytes the server needn't copy the table.
	{"migrations", "cutover", 60, "VARCHAR(60) NOT NULL DEFAULT 'auto'", "", ""},
	{"migrations", "eta_error_seconds", 0, "BIGINT NULL COMMENT 'by how much eta_seconds may be off' AFTER eta_seconds", "", ""},
	{"migrations", "rows_per_second", 0, "BIGINT NOT NULL DEFAULT 0 COMMENT 'copied, of late' AFTER eta_error_seconds", "", ""},
	{"migrations", "request", 0, "LONGTEXT NULL COMMENT 'the statement and its session''s settings, for whoever takes the migration over: JSON' AFTER statement", "", ""},
	{"migrations", "error_state", 0, "CHAR(5) NULL AFTER error", "", ""},
	{"migrations", "records", 0, "BIGINT NULL COMMENT 'what the answer says of rows; NULL: it says nothing' AFTER error_state", "", ""},
	{"migrations", "token", 0, "CHAR(24) NULL COMMENT 'by which a record is found whose answer was lost' AFTER owner", ", ADD UNIQUE KEY by_token (token)", ""},
	{"migrations", "client_at", 0, "VARCHAR(40) NOT NULL DEFAULT '' COMMENT 'the Midflight by which somebody waits for the answer' AFTER token", "", ""},
	{"migrations", "client_gone", 0, "BOOLEAN NOT NULL DEFAULT FALSE COMMENT 'nobody waits for the answer; who sends the same statement again does' AFTER client_at", "", ""},
	{"checkpoints", "facts", 0, "LONGTEXT NULL COMMENT 'what the tables were like when the copy began: JSON' AFTER rows_in_shadow", "", ""},
	{"migrations", "invisible_columns", 0, "TEXT NULL COMMENT 'published INVISIBLE by @midflight_new_columns: a JSON list'", "", ""},
	{"migrations", "account", 0, "VARCHAR(288) NOT NULL DEFAULT '' COMMENT 'CURRENT_USER() of who sent it' AFTER connection_id", "", ""},
	{"migrations", "database_name", 0, "VARCHAR(64) NOT NULL DEFAULT '' COMMENT 'that was selected' AFTER account", "", ""},
	{"migrations", "ran_by", 0, "VARCHAR(400) NOT NULL DEFAULT '' COMMENT 'its version, host and process' AFTER owner", "", ""},
	{"migrations", "warnings", 0, "BIGINT NULL COMMENT 'of the answer; NULL: there is none yet' AFTER records", "", ""},
	{"migrations", "verification", 0, "TEXT NULL COMMENT 'what was compared before the swap' AFTER warnings", "", ""},
	{"migrations", "cutover_attempts", 0, "BIGINT NOT NULL DEFAULT 0 AFTER verification", "", ""},
	{"migrations", "locked_microseconds", 0, "BIGINT NOT NULL DEFAULT 0 COMMENT 'exclusively, in the attempt that was in time' AFTER cutover_attempts", "", ""},
	{"migrations", "held_statements", 0, "BIGINT NOT NULL DEFAULT 0 COMMENT 'in the proxy, in all attempts' AFTER locked_microseconds", "", ""},
	{"migrations", "held_microseconds", 0, "BIGINT NOT NULL DEFAULT 0 COMMENT 'the longest of them' AFTER held_statements", "", ""},
	{"migrations", "throttled", 0, "TEXT NULL COMMENT 'seconds for which it has waited, by what for: JSON'", "", ""},
	{"migrations", "throttle_ratio", 0, "DOUBLE NOT NULL DEFAULT 0 COMMENT 'part of the time that the copy rests'", "", ""},
	{"migrations", "throttle_until", 0, "DATETIME(6) NULL", "", ""},
	{"events", "said_by", 0, "VARCHAR(400) NULL COMMENT 'whose word it was; NULL: Midflight did it by itself' AFTER happened_at", "", ""},
	{"events", "phase", 0, "VARCHAR(16) NULL COMMENT 'that was entered' AFTER happened_at", "",
		"UPDATE /* midflight */ midflight.events SET phase = SUBSTRING(event, 7) WHERE event REGEXP '^phase [a-z_]+$'"},
	{"events", "kind", 0, "VARCHAR(16) NOT NULL DEFAULT 'note' COMMENT 'note, phase, control, cutover, verify, warning, kill, runner' AFTER happened_at", "",
		"UPDATE /* midflight */ midflight.events SET kind = 'phase' WHERE phase IS NOT NULL"},
	{"events", "detail", 0, "LONGTEXT NULL COMMENT 'JSON' AFTER event", "", ""},
	{"migrations", "reveal_requested", 0, "BOOLEAN NOT NULL DEFAULT FALSE", ", ADD KEY by_reveal (reveal_requested)", ""},
}

// bring makes the column what it must be, if it isn't.
func (c changedColumn) bring(ctx context.Context, db *sql.DB) error {
	fail := func(err error) error { return fmt.Errorf("bring midflight.%s up to date: %w", c.table, err) }
	var there int
	var room sql.NullInt64
	if err := db.QueryRowContext(ctx, `SELECT /* midflight */ COUNT(*), MAX(character_maximum_length) FROM information_schema.columns
WHERE table_schema = 'midflight' AND table_name = ? AND column_name = ?`, c.table, c.column).Scan(&there, &room); err != nil {
		return fail(err)
	}
	do := "ADD COLUMN"
	if there > 0 {
		if room.Int64 >= c.characters {
			return nil
		}
		do = "MODIFY COLUMN"
	}
	conn, err := db.Conn(ctx)
	if err != nil {
		return fail(err)
	}
	defer conn.Close()
	// Who waits for the lock keeps everybody else from the table.
	if _, err := conn.ExecContext(ctx, "SET /* midflight */ SESSION lock_wait_timeout = 5"); err != nil {
		return fail(err)
	}
	defer conn.ExecContext(context.WithoutCancel(ctx), "SET /* midflight */ SESSION lock_wait_timeout = DEFAULT")
	_, err = conn.ExecContext(ctx, fmt.Sprintf("ALTER TABLE /* midflight */ midflight.%s %s %s %s%s", c.table, do, c.column, c.definition, c.also))
	if mysqld.Number(err) == mysqld.ErrDupColumn { // another Midflight starts as well
		return nil
	}
	if err != nil {
		return fmt.Errorf("bring midflight.%s up to date, which wants it for a moment (end the transactions that use it): %w", c.table, err)
	}
	if c.then != "" {
		if _, err := conn.ExecContext(ctx, c.then); err != nil {
			return fail(err)
		}
	}
	return nil
}
