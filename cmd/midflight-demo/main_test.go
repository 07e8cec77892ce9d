package main

import (
	"bytes"
	"errors"
	"os"
	"regexp"
	"testing"

	"midflight/internal/localserver"
)

// TestDemo runs the whole demo on a small table.
func TestDemo(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 10 s")
	}
	required := os.Getenv("CI") == "true" || os.Getenv("MIDFLIGHT_REQUIRE_SERVERS") == "1"
	for _, f := range localserver.Flavors {
		t.Run(string(f), func(t *testing.T) {
			t.Parallel()
			if _, err := localserver.Find(f); errors.Is(err, localserver.ErrNotFound) && !required {
				t.Skipf("NOT TESTED on a real server: %v", err)
			}
			args := []string{"-rows", "5000", "-once"}
			if f == localserver.MariaDB {
				args = append(args, "-mariadb")
			}
			var out, errs bytes.Buffer
			if err := run(t.Context(), args, &out, &errs); err != nil {
				t.Fatalf("%v\n%s%s", err, errs.String(), out.String())
			}
			for _, want := range []string{
				`Query OK, 0 rows affected`,
				"`note` varchar\\(200\\) NOT NULL DEFAULT ''",
				"KEY `by_customer` \\(`customer_id`,\\s*`created_at`\\)",
				`rows compared +\d,\d{3} `, `lost +0 `, `wrong +0 `, `extra +0 `, `application errors +0 `,
				`table locked +[\d.]+ ms`, `statements held +\d+ `,
			} {
				if !regexp.MustCompile(want).Match(out.Bytes()) {
					t.Errorf("no %q in the output", want)
				}
			}
			for _, line := range bytes.Split(out.Bytes(), []byte("\n")) {
				if n := len([]rune(string(line))); n > 80 {
					t.Errorf("a line of %d characters: %s", n, line)
				}
			}
			if t.Failed() {
				t.Log(out.String())
			}
		})
	}
}

// TestReadBackSees breaks the table behind the application's back.
func TestReadBackSees(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a server")
	}
	s, err := localserver.Start(t.Context(), localserver.MySQL)
	if errors.Is(err, localserver.ErrNotFound) {
		t.Skipf("NOT TESTED on a real server: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer s.Remove()
	db, err := open(s.RootDSN(""), true)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := fill(t.Context(), db, 1000, func(int64) {}); err != nil {
		t.Fatal(err)
	}
	a, err := newApp(s.RootDSN("shop"), 1000)
	if err != nil {
		t.Fatal(err)
	}
	defer a.close()
	for range 500 {
		for _, w := range a.writers {
			w.work(t.Context())
		}
	}
	check := func(what string, lost, wrong, extra int64) {
		t.Helper()
		got, err := readBack(t.Context(), db, a, false)
		if err != nil {
			t.Fatal(err)
		}
		if got.lost != lost || got.wrong != wrong || got.extra != extra || got.unsure != 0 {
			t.Errorf("%s: %+v, want lost %d, wrong %d, extra %d", what, got, lost, wrong, extra)
		}
	}
	if texts := a.meter.texts(); len(texts) > 0 {
		t.Errorf("errors: %v", texts)
	}
	check("untouched", 0, 0, 0)
	for _, step := range []struct {
		statement          string
		lost, wrong, extra int64
	}{
		{"DELETE FROM shop.orders ORDER BY id LIMIT 1", 1, 0, 0},
		{"DELETE FROM shop.orders ORDER BY id DESC LIMIT 2", 3, 0, 0},
		{"UPDATE shop.orders SET version = version + 1 ORDER BY id LIMIT 4", 3, 4, 0},
		{"UPDATE shop.orders SET details = 'x' ORDER BY id DESC LIMIT 1", 3, 5, 0},
		{"INSERT INTO shop.orders (" + columns + ") VALUES " + order{serial: 7}.values(), 3, 5, 1},
	} {
		if _, err := db.Exec(step.statement); err != nil {
			t.Fatal(err)
		}
		check(step.statement, step.lost, step.wrong, step.extra)
	}
}

func TestThousands(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -1000: "-1,000", -100: "-100"} {
		if got := thousands(n); got != want {
			t.Errorf("%d is %s, want %s", n, got, want)
		}
	}
}
