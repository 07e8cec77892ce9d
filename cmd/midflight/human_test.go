package main

import (
	"bytes"
	"database/sql"
	"slices"
	"strings"
	"testing"
	"time"

	"midflight/ghost"
	"midflight/store"
)

func TestSpell(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0:                               "0 s",
		850 * time.Microsecond:          "850 µs",
		3400 * time.Microsecond:         "3.4 ms",
		120 * time.Millisecond:          "120 ms",
		999600 * time.Microsecond:       "1.0 s",
		8240 * time.Millisecond:         "8.2 s",
		9960 * time.Millisecond:         "10 s",
		59600 * time.Millisecond:        "1 m",
		95 * time.Second:                "1 m 35 s",
		59*time.Minute + 59*time.Second: "59 m 59 s",
		72*time.Minute + 3*time.Second:  "1 h 12 m",
		50*time.Hour + 40*time.Minute:   "2 d 3 h",
		-90 * time.Second:               "-1 m 30 s",
	} {
		if got := spell(d); got != want {
			t.Errorf("%s is spelt %q, want %q", d, got, want)
		}
	}
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1 000", -1234567: "-1 234 567"} {
		if got := grouped(n); got != want {
			t.Errorf("%d is %q, want %q", n, got, want)
		}
	}
}

// Other people's text must not steer the terminal.
func TestTame(t *testing.T) {
	if got := tame("ALTER\n\tTABLE \x1b[2Jx\u202e y\x00\xff"); got != "ALTER TABLE ?[2Jx? y??" {
		t.Errorf("%q", got)
	}
	for _, c := range []struct {
		text string
		n    int
		want string
	}{{"orders", 6, "orders"}, {"orders", 5, "orde…"}, {"注文テーブル", 12, "注文テーブル"}, {"注文テーブル", 6, "注文…"}, {"x", 0, ""}} {
		if got := cut(c.text, c.n); got != c.want || columns(got) > c.n {
			t.Errorf("cut(%q, %d) is %q", c.text, c.n, got)
		}
	}
	if got := folded("one two threefour five", 5); !slices.Equal(got, []string{"one", "two", "three", "four", "five"}) {
		t.Errorf("%q", got)
	}
}

// No line is wider than the terminal, whatever its width, and nothing is lost for a file.
func TestWidths(t *testing.T) {
	long := strings.Repeat("very_long_", 6)
	valid := func(n int64) sql.NullInt64 { return sql.NullInt64{Int64: n, Valid: true} }
	at := sql.NullTime{Time: time.Now().Add(-time.Minute), Valid: true}
	list := []store.Migration{
		{ID: 12, Table: "shop." + long, Statement: "ALTER TABLE " + long + " ADD COLUMN " + long, Phase: ghost.Copying, Path: "copy", Progress: 0.417, ETA: valid(4000), ETAError: valid(300),
			Copied: 1_234_567, Estimate: 98_765_432, Rate: 12_345, Backlog: 7, WaitingFor: "connection 12 (app@10.0.0.1, 3m0s) " + long, CutOver: "auto", Started: at},
		{ID: 11, Table: "shop.注文", Statement: "OPTIMIZE TABLE 注文", Phase: ghost.Ready, Path: "copy", CutOver: "manual", Started: at},
		{ID: 10, Table: "shop." + long, Phase: ghost.Failed, Path: "copy", Failure: "Duplicate entry '1' for key '" + long + "'", Started: at, Done: at},
		{ID: 9, Table: "shop.orders", Statement: "ALTER TABLE orders ADD x INT", Phase: ghost.Completed, Path: "instant", Started: at, Done: at},
	}
	for _, width := range []int{40, 60, 80, 120, 200} {
		var b bytes.Buffer
		to := terminal{Writer: &b, live: true, width: width, height: 12}
		printMigrations(to, list)
		picture := frame(to, "db.example.org:3306", list, time.Now())
		if n := strings.Count(picture, "\n"); n > to.height-1 {
			t.Errorf("a picture of %d lines for a terminal of %d", n, to.height)
		}
		if !strings.HasPrefix(picture, "\x1b[H") || strings.Count(picture, "\x1b[K") != strings.Count(picture, "\n") || strings.Contains(picture, "\x1b[2J") {
			t.Errorf("the picture clears more than it draws: %q", picture)
		}
		picture = strings.NewReplacer("\x1b[H", "", "\x1b[K", "", "\x1b[J", "").Replace(picture)
		for _, line := range strings.Split(b.String()+picture, "\n") {
			if columns(line) > width {
				t.Errorf("in %d columns, a line of %d: %s", width, columns(line), line)
			}
		}
	}
	var b bytes.Buffer
	printMigrations(terminal{Writer: &b}, list)
	if !strings.Contains(b.String(), long+"  ") || strings.Contains(b.String(), "\x1b") {
		t.Errorf("for a file:\n%s", b.String())
	}
	b.Reset()
	printMigrations(terminal{Writer: &b, width: 80, colours: true}, list)
	if !strings.Contains(b.String(), "\x1b[31mfailed\x1b[0m") {
		t.Errorf("with colours:\n%s", b.String())
	}
}
