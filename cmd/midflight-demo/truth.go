package main

import (
	"context"
	"database/sql"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A truth is what the comparison of the table with the application's memory
// has found.
type truth struct {
	compared, lost, wrong, extra int64
	unsure                       int64 // rows whose last change has no answer
	example                      string
}

func (t *truth) note(format string, args ...any) {
	if t.example == "" {
		t.example = fmt.Sprintf(format, args...)
	}
}

type remembered struct {
	id     int64
	writer *writer
}

// readBack compares every row, every column. The application has stopped.
func readBack(ctx context.Context, server *sql.DB, a *app, altered bool) (truth, error) {
	var t truth
	var all []remembered
	unsure, perhaps := map[int64]bool{}, map[int64]bool{}
	for _, w := range a.writers {
		for id := range w.unsure {
			unsure[id] = true
		}
		for serial := range w.perhaps {
			perhaps[serial] = true
		}
		for _, id := range w.ids {
			if !w.unsure[id] {
				all = append(all, remembered{id, w})
			}
		}
	}
	t.unsure = int64(len(unsure))
	slices.SortFunc(all, func(a, b remembered) int { return int(a.id - b.id) })

	note := "''"
	if altered {
		note = "note"
	}
	rows, err := server.QueryContext(ctx, "SELECT id, "+columns+", "+note+" FROM shop.orders ORDER BY id")
	if err != nil {
		return t, fmt.Errorf("read the table back: %w", err)
	}
	defer rows.Close()
	var id, customer, amount, version int64
	var details, created, text sql.RawBytes
	next := 0
	for rows.Next() {
		if err := rows.Scan(&id, &customer, &amount, &version, &details, &created, &text); err != nil {
			return t, fmt.Errorf("read the table back: %w", err)
		}
		for ; next < len(all) && all[next].id < id; next++ {
			t.lost++
			t.note("order %d is lost", all[next].id)
		}
		if next == len(all) || all[next].id > id {
			serial, _, _ := strings.Cut(string(details), " ")
			if n, _ := strconv.ParseInt(serial, 10, 64); !unsure[id] && !perhaps[n] {
				t.extra++
				t.note("order %d is extra", id)
			}
			continue
		}
		want := all[next].writer.order(id)
		next++
		t.compared++
		if customer != want.customer() || amount != want.amount || version != want.version ||
			string(details) != want.details() || string(created) != want.created() || len(text) != 0 {
			t.wrong++
			t.note("order %d is wrong: amount %d, version %d; wanted %d, %d", id, amount, version, want.amount, want.version)
		}
	}
	if err := rows.Err(); err != nil {
		return t, fmt.Errorf("read the table back: %w", err)
	}
	if next < len(all) {
		t.lost += int64(len(all) - next)
		t.note("order %d is lost", all[next].id)
	}
	return t, nil
}

// definition returns the lines of the new column and the new index.
func definition(ctx context.Context, server *sql.DB) (column, index string, err error) {
	var name, text string
	if err := server.QueryRowContext(ctx, "SHOW CREATE TABLE shop.orders").Scan(&name, &text); err != nil {
		return "", "", fmt.Errorf("read the table's definition: %w", err)
	}
	for line := range strings.Lines(text) {
		switch line = strings.TrimRight(strings.TrimSpace(line), ","); {
		case strings.HasPrefix(line, "`note` "):
			column = line
		case strings.HasPrefix(line, "KEY `by_customer` "):
			index = line
		}
	}
	return column, index, nil
}

// A cutOver is what midflight.events tells of it.
type cutOver struct {
	at       time.Time // its end
	locked   time.Duration
	held     int
	longest  time.Duration // that a statement was held
	attempts int
}

var cutOverText = regexp.MustCompile(`cut over: locked (\S+), held (\d+) statements?, (\S+) at most`)

func readCutOver(ctx context.Context, server *sql.DB, migration int64) (c cutOver, found bool, err error) {
	rows, err := server.QueryContext(ctx, "SELECT UNIX_TIMESTAMP(CONVERT_TZ(happened_at, '+00:00', @@session.time_zone)), event FROM midflight.events WHERE migration_id = ? ORDER BY id", migration)
	if err != nil {
		return c, false, fmt.Errorf("read the events: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var seconds float64
		var text string
		if err := rows.Scan(&seconds, &text); err != nil {
			return c, false, fmt.Errorf("read the events: %w", err)
		}
		if strings.Contains(text, "cut-over not now") {
			c.attempts++
		}
		if f := cutOverText.FindStringSubmatch(text); f != nil {
			found = true
			c.attempts++
			c.at = time.UnixMicro(int64(seconds * 1e6))
			c.locked, _ = time.ParseDuration(f[1])
			c.held, _ = strconv.Atoi(f[2])
			c.longest, _ = time.ParseDuration(f[3])
		}
	}
	return c, found, rows.Err()
}
