package main

import (
	"context"
	"encoding/json"
	"io"
	"math"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestPhasesOf(t *testing.T) {
	history := []record{
		{0.1, "phase preparing"},
		{1, "phase copying"},
		{8.5, "5 indexes built in 2.5s"},
		{9, "phase catching_up"},
		{9.5, "phase ready"},
		{10, "phase cutting_over"},
		{10.25, "m1 cut-over: not now"},
		{10.25, "phase ready"},
		{10.75, "phase cutting_over"},
	}
	got := phasesOf(history, 11)
	want := phases{{"queued", 0.1}, {"preparing", 0.9}, {"copying", 5.5}, {building, 2.5}, {"catching_up", 0.5}, {"ready", 1}, {"cutting_over", 0.5}}
	sum := 0.0
	for i, p := range got {
		sum += p.Seconds
		if i >= len(want) || p.Name != want[i].Name || math.Abs(p.Seconds-want[i].Seconds) > 1e-9 {
			t.Fatalf("got %v, want %v", got, want)
		}
	}
	if len(got) != len(want) || math.Abs(sum-11) > 1e-9 {
		t.Errorf("got %v, together %v s", got, sum)
	}
	if text := got.String(); !strings.HasPrefix(text, "queued 0.1, preparing 0.9, copying 5.5, indexes 2.5") {
		t.Error(text)
	}
	if got := phasesOf(nil, 2); !slices.Equal(got, phases{{"queued", 2}}) {
		t.Error(got)
	}
}

func TestFillingHasEveryRowOnce(t *testing.T) {
	all := plainTable("t", 5).statements(250_000)
	inserts := having(all, func(s string) bool { return strings.HasPrefix(s, "INSERT INTO bench.t ") })
	if len(inserts) != 3 || !strings.Contains(inserts[1], "SELECT 100001 + v.d") || !strings.Contains(inserts[2], "n <= 250000") {
		t.Errorf("%q", inserts)
	}
	if keys := all[len(all)-2]; keys != "ALTER TABLE bench.t ADD KEY ka(a), ADD KEY kb(b), ADD KEY kc(c), ADD KEY kd(d), ADD KEY ke(e, a)" {
		t.Error(keys)
	}
}

func TestHeatCoversTheTable(t *testing.T) {
	h := newHeat("hot", 1200)
	var all [][2]int
	for i := range h.chunks {
		first, last := h.bounds(i)
		all = append(all, [2]int{first, last})
	}
	if want := [][2]int{{1, 500}, {501, 1000}, {1001, 1200}}; !slices.Equal(all, want) {
		t.Errorf("got %v, want %v", all, want)
	}
	before := h.counts()
	h.chunks[0].Add(4)
	h.chunks[1].Add(2)
	h.chunks[2].Add(3)
	if got := least(before, h.counts()); got != 2 {
		t.Errorf("the chunk with the fewest has %d updates, want 2", got)
	}
}

// copied are the rounds of a change that takes so many seconds.
func copied(test, change string, rows int, seconds ...float64) (all []copySample) {
	for i, s := range seconds {
		all = append(all, copySample{Server: "mysql", Test: test, Change: change, Rows: rows, Round: i + 1, Seconds: s})
	}
	return all
}

// through adds what only Midflight's have.
func through(all []copySample, memory float64) []copySample {
	for i := range all {
		all[i].Memory, all[i].Phases = memory, phases{{"copying", all[i].Seconds - 0.5}, {"verifying", 0.5}}
	}
	return all
}

func TestCopyReport(t *testing.T) {
	loaded := through(copied(loadTest, "midflight", 1000, 7, 8), 500)
	inplace := copied(loadTest, "server-inplace", 1000, 5, 5)
	for i, s := range slices.Concat(loaded, inplace) {
		f := oscResult{Before: felt{W99: 10, R99: 4}, During: felt{W99: float64(14 + 2*i), R99: 8}}
		if s.Change == "midflight" {
			loaded[i].Felt = &f
		} else {
			inplace[i-2].Felt = &f
		}
	}
	loaded[1].Felt.AppErrors, loaded[1].Felt.Wrong = map[string]int{"1205 Lock wait": 2}, 3
	hot := through(copied(hotTest, "midflight", 500, 3, 3), 0)
	hot[0].Hot = &hotResult{Updates: 12, Synced: 11, Backlog: 400}
	hot[1].Hot = &hotResult{Updates: 9, Backlog: 600, Bound: true, Failure: "gone"}
	idle := through(copied(idle1Test, "midflight", 1000, 9, 22, 27), 70)
	slices.Reverse(idle) // measured in another order
	r := copyReport{Samples: slices.Concat(
		copied(idle1Test, "server-copy", 1000, 10, 20, 30), idle,
		copied(idle5Test, "server-copy", 1000, 10), through(copied(idle5Test, "midflight", 1000, 9), 20),
		through(copied(bigTest, "midflight", 1000, 1), 1), through(copied(bigTest, "midflight", 10_000, 12), 64),
		through(copied(loadTest, "midflight-idle", 1000, 4, 4), 1), loaded, inplace,
		hot)}
	r.summarize()
	var text strings.Builder
	r.print(&text)
	want := []string{
		"mysql, idle1, midflight of 1000 rows: time per row of that of server-copy 0.90 [0.90 1.10]: reached (goal at most 1.00)",
		"mysql, idle1, midflight of 1000 rows: MiB of memory over idle 70 [70 70]: MISSED (goal at most 64)",
		"mysql, idle5, midflight of 1000 rows: time per row of that of server-copy 0.90 [0.90 0.90]: MISSED (goal at most 0.80)",
		"mysql, idle5, midflight of 1000 rows: MiB of memory over idle 20 [20 20]: reached (goal at most 64)",
		"mysql, big, midflight of 1000 rows: MiB of memory over idle 1 [1 1]: reached (goal at most 64)",
		"mysql, big, midflight of 10000 rows: time per row of that of 1000 rows 1.20 [1.20 1.20]: reached (goal at most 1.30)",
		"mysql, big, midflight of 10000 rows: MiB of memory over idle 64 [64 64]: reached (goal at most 64)",
		"mysql, load, midflight of 1000 rows: time per row of that of midflight-idle 1.88 [1.75 2.00]: reached (goal at most 2.00)",
		"mysql, load, midflight of 1000 rows: writers' p99 of that before 1.50 [1.40 1.60]: reached (goal at most 1.50)",
		"mysql, load, midflight of 1000 rows: readers' p99 of that before 2.00 [2.00 2.00]: MISSED (goal at most 1.50)",
		"mysql, load, midflight of 1000 rows: 2 errors of the application: MISSED",
		"mysql, load, midflight of 1000 rows: 3 rows lost, wrong or extra: MISSED",
		"mysql, load, midflight of 1000 rows: FAILED: 2 × 1205 Lock wait",
		"mysql, hot, midflight of 500 rows: completed in 1 of 2 rounds: missed, but some round reached it",
		"mysql, hot, midflight of 500 rows: each row updated so many times meanwhile 10 [9 12]: missed, but some round reached it (goal at least 10)",
		"mysql, hot, midflight of 500 rows: in 1 of 2 rounds only after the load had ended, at its bound",
		"mysql, hot, midflight of 500 rows: 0 errors of the application: reached",
		"mysql, hot, midflight of 500 rows: 0 rows with another counter than was acknowledged: reached",
		"mysql, hot, midflight of 500 rows: FAILED: gone",
	}
	if !slices.Equal(r.Verdicts, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(r.Verdicts, "\n"), strings.Join(want, "\n"))
	}
	for _, line := range append(want, "÷ server-copy", "÷ 1000 rows", "server-inplace", "| copying | verifying |") {
		if !strings.Contains(strings.Join(strings.Fields(text.String()), " "), line) {
			t.Errorf("it lacks %q:\n%s", line, text.String())
		}
	}
	if _, err := json.Marshal(r); err != nil {
		t.Error(err)
	}
}

// A load that has felt nothing before can't be compared, and doesn't spoil the report.
func TestCopyReportWithoutBefore(t *testing.T) {
	s := copied(loadTest, "midflight", 1000, 7)
	s[0].Felt = &oscResult{MigrationError: "no"}
	r := copyReport{Samples: s}
	r.summarize()
	r.print(io.Discard)
	if !slices.Contains(r.Verdicts, "mysql, load, midflight of 1000 rows: FAILED: no") {
		t.Error(r.Verdicts)
	}
	if _, err := json.Marshal(r); err != nil {
		t.Error(err)
	}
}

func TestParseCopy(t *testing.T) {
	o, err := parseCopy([]string{"-tests", "hot,idle5", "-rows", "2000", "-servers", "mariadb,mysql"}, io.Discard)
	if err != nil || !slices.Equal(names(o.tests, copyTest.text), []string{hotTest, idle5Test}) || o.json == "" || len(o.servers) != 2 {
		t.Errorf("%+v, %v", o, err)
	}
	o, err = parseCopy([]string{"-big", "0"}, io.Discard)
	if err != nil || !slices.Equal(names(o.tests, copyTest.text), []string{idle1Test, idle5Test, loadTest, hotTest}) {
		t.Errorf("%+v, %v", o, err)
	}
	for _, bad := range []string{"-tests fast", "-big 10", "-hot 100", "-servers oracle", "-rounds 0", "-warm 1s", "-hotmax 0s", "more"} {
		if _, err := parseCopy(strings.Fields(bad), io.Discard); err == nil {
			t.Errorf("%s is taken", bad)
		}
	}
}

func TestDuring(t *testing.T) {
	watched := false
	err := during(t.Context(), func(ctx context.Context) {
		<-ctx.Done()
		watched = true
	}, func() error { return io.EOF })
	if err != io.EOF || !watched {
		t.Errorf("%v, watched: %v", err, watched)
	}
	if ms, err := stalledDuring(t.Context(), func() error { time.Sleep(10 * time.Millisecond); return nil }); err != nil || ms < 0 {
		t.Errorf("%v ms, %v", ms, err)
	}
}
