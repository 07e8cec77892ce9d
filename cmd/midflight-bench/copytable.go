package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
)

// A filling is a table and what its rows hold.
type filling struct {
	name    string
	columns string // definitions, and keys that are there from the start
	rows    string // the values of row n
	keys    []string
}

// plainTable has about 200 bytes of data a row, and random values in its secondary keys.
func plainTable(name string, keys int) filling {
	return filling{
		name: name,
		columns: `id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, a INT NOT NULL, b INT NOT NULL, c INT NOT NULL,
  d VARCHAR(32) NOT NULL, e DATETIME NOT NULL, note VARCHAR(160) NOT NULL`,
		rows: `n, CRC32(CONCAT('a', n)) >> 1, CRC32(CONCAT('b', n)) >> 1, CRC32(CONCAT('c', n)) >> 1,
  LEFT(SHA2(n, 256), 32), '2020-01-01' + INTERVAL CRC32(CONCAT('e', n)) MOD 100000000 SECOND, CONCAT(SHA2(CONCAT('note', n), 512), LPAD(n, 13, '.'))`,
		keys: []string{"ka(a)", "kb(b)", "kc(c)", "kd(d)", "ke(e, a)"}[:keys],
	}
}

// accountTable is like the one of osc, to be altered without a load.
func accountTable(writers int) filling {
	return filling{
		name: "acct",
		columns: `id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, owner INT NOT NULL, bal BIGINT NOT NULL, v BIGINT NOT NULL, k BIGINT NOT NULL,
  note VARCHAR(120) NOT NULL, u TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6)`,
		rows: fmt.Sprintf("n, n MOD %d, 1000, 0, CRC32(CONCAT('k', n)) >> 2, REPEAT('abcdefghij', 10), CURRENT_TIMESTAMP(6)", writers),
		keys: []string{"k_k(k)", "k_owner(owner, bal)"},
	}
}

// hotTable has a counter in each row.
func hotTable() filling {
	return filling{
		name:    "hot",
		columns: "id BIGINT NOT NULL PRIMARY KEY, v BIGINT NOT NULL, k INT NOT NULL, note VARCHAR(160) NOT NULL",
		rows:    "n, 0, CRC32(CONCAT('k', n)) >> 1, CONCAT(SHA2(CONCAT('note', n), 512), LPAD(n, 13, '.'))",
		keys:    []string{"k_k(k)"},
	}
}

// full is the table's name, with its schema.
func (t filling) full() string { return database + "." + t.name }

// statements make the table and its rows, some at a time; the keys come last, which
// is quicker.
func (t filling) statements(rows int) []string {
	all := []string{
		"CREATE DATABASE IF NOT EXISTS " + database,
		"DROP TABLE IF EXISTS " + t.full() + ", " + database + ".digits",
		"CREATE TABLE " + t.full() + " (" + t.columns + ")",
		"CREATE TABLE " + database + ".digits (d INT PRIMARY KEY)",
		"INSERT INTO " + database + ".digits VALUES (0), (1), (2), (3), (4), (5), (6), (7), (8), (9)",
	}
	const some = 100_000
	for from := 0; from < rows; from += some {
		all = append(all, fmt.Sprintf(`INSERT INTO %s SELECT %s FROM (
  SELECT %d + v.d + 10 * w.d + 100 * x.d + 1000 * y.d + 10000 * z.d AS n
  FROM %[4]s v, %[4]s w, %[4]s x, %[4]s y, %[4]s z) numbers WHERE n <= %[5]d ORDER BY n`, t.full(), t.rows, from+1, database+".digits", rows))
	}
	if len(t.keys) > 0 {
		all = append(all, "ALTER TABLE "+t.full()+" ADD KEY "+strings.Join(t.keys, ", ADD KEY "))
	}
	return append(all, "ANALYZE NO_WRITE_TO_BINLOG TABLE "+t.full())
}

// fill makes the table anew. Its rows are not in the binlog: nobody needs them twice.
func (s *site) fill(ctx context.Context, t filling, rows int) (err error) {
	// A pool of its own: Midflight waits for who has the binlog off.
	pool, err := sql.Open("mysql", s.server.RootDSN("")+"?sql_log_bin=0")
	if err != nil {
		return fmt.Errorf("connect to the server: %w", err)
	}
	defer func() { err = errors.Join(err, pool.Close()) }()
	for _, statement := range t.statements(rows) {
		if _, err := pool.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("fill %s: %.60s…: %w", t.full(), statement, err)
		}
	}
	return nil
}

// drop drops the tables, so that the next test has the disk and the pool.
func (s *site) drop(ctx context.Context, tables ...filling) error {
	for _, t := range tables {
		if err := s.tell(ctx, "DROP TABLE "+t.full()); err != nil {
			return err
		}
	}
	return nil
}
