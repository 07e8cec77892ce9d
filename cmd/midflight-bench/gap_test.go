package main

import (
	"encoding/json"
	"io"
	"strings"
	"testing"
)

// A line of osc's, with what is not read left out.
const oscLine = `{"after":{"r_max_ms":2},"altered":true,"app_errors":{"1205 Lock wait":2,"invalid connection":1},"before":{"r_max_ms":5,"w_max_ms":30,"w_p99_ms":7},
"during":{"r_max_ms":25,"r_p50_ms":1,"r_p99_ms":3,"read_s":300,"trx_s":400,"w_max_ms":31},"extra":1,"label":"","lost":2,"migration_s":1.5,"rows":10,"wrong":3}`

func TestGapReport(t *testing.T) {
	var felt oscResult
	if err := json.Unmarshal([]byte(oscLine), &felt); err != nil {
		t.Fatal(err)
	}
	first := gapSample{Server: "mysql", Variant: "midflight-copy", Load: "light", Round: 1, oscResult: felt, swapped: swapped{Locks: 1, Locked: 4}}
	// Readers are compared with readers, and not with the writers' 30 ms before.
	if got := first.worse(); got != 20 {
		t.Errorf("worse by %v, want 20", got)
	}
	second := first
	second.Round, second.During.WMax, second.MigrationError, second.AppErrors, second.swapped = 2, 70, "gone", nil, swapped{}
	r := gapReport{Samples: []gapSample{first, second, {Server: "mysql", Variant: "none", Load: "light"}}}
	r.addIdle("mysql", 9)
	r.addIdle("mysql", 12)
	r.summarize()
	if len(r.Summary) != 2 {
		t.Fatalf("%d summaries: %+v", len(r.Summary), r.Summary)
	}
	g := r.Summary[0]
	if g.Worse != (spread{30, 40}) || g.During != (spread{50.5, 70}) || g.Errors != 3 || g.LostWrongExtra != 12 {
		t.Errorf("%+v", g)
	}
	if g.Locked != (spread{4, 4}) { // the round without a lock doesn't count as one of 0 ms
		t.Errorf("locked %+v", g.Locked)
	}
	var text strings.Builder
	r.print(&text)
	for _, want := range []string{
		"midflight-copy: worse by 30 ms, 40 at most: missed, but the median reached it",
		"FAILED: gone", "FAILED: 2 × 1205 Lock wait", "idle: lock to unlock 10.5 ms, 12.0 at most: MISSED",
	} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("it lacks %q:\n%s", want, text.String())
		}
	}
	if strings.Contains(text.String(), "none: worse") {
		t.Error("it judges what is no change of ours")
	}
}

func TestBetween(t *testing.T) {
	before := parseSeries("# HELP x y 7\nmidflight_cutover_lock_seconds_sum 0.5\nmidflight_cutover_lock_seconds_count 3\nmidflight_statements_held_total 1e+06\n\n")
	after := parseSeries("midflight_cutover_lock_seconds_sum 0.504\nmidflight_cutover_lock_seconds_count 4\nmidflight_statements_held_total 1.000007e+06\nmidflight_cutover_attempts_total{outcome=\"not_now\"} 2\n")
	got := between(before, after)
	if got.Locks != 1 || got.Locked < 3.99 || got.Locked > 4.01 || got.Held != 7 || got.Tries != 2 || got.Hold != 0 {
		t.Errorf("%+v", got)
	}
}

func TestParseGap(t *testing.T) {
	o, err := parseGap([]string{"-variants", "server-copy,idle,none", "-loads", "crowd,light", "-longtrx", "0s,3s", "-servers", "mariadb"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	cells := o.cells()
	if len(cells) != 8 || cells[0].String() != "server-copy, crowd" || cells[7].String() != "none, light, transactions of 3s" || !o.idle {
		t.Errorf("%v, idle: %v", cells, o.idle)
	}
	for _, bad := range []string{"-variants fast", "-loads heavy", "-longtrx 3", "-servers oracle", "-rounds 0", "-warm 1s", "more"} {
		if _, err := parseGap(strings.Fields(bad), io.Discard); err == nil {
			t.Errorf("%s is taken", bad)
		}
	}
}
