package main

import (
	"io"
	"slices"
	"strings"
	"testing"
	"time"
)

// As sysbench 1.0.20 prints it; three seconds are measured, 2 to 4.
const printed = `Running the test with following options:
Number of threads: 8
Report intermediate results every 1 second(s)

Threads started!

[ 1s ] thds: 8 tps: 100.00 qps: 9.00 (r/w/o: 9.00/0.00/0.00) lat (ms,99%): 1.00 err/s: 0.00 reconn/s: 0.00
[ 2s ] thds: 8 tps: 100.00 qps: 1000.50 (r/w/o: 9.00/0.00/0.00) lat (ms,99%): 1.00 err/s: 0.00 reconn/s: 0.00
[ 3s ] thds: 8 tps: 100.00 qps: 2000.00 (r/w/o: 9.00/0.00/0.00) lat (ms,99%): 1.00 err/s: 0.00 reconn/s: 0.00
[ 4s ] thds: 8 tps: 100.00 qps: 2999.50 (r/w/o: 9.00/0.00/0.00) lat (ms,99%): 1.00 err/s: 0.00 reconn/s: 0.00
[ 5s ] thds: 8 tps: 100.00 qps: 7.00 (r/w/o: 9.00/0.00/0.00) lat (ms,99%): 1.00 err/s: 0.00 reconn/s: 0.00
SQL statistics:
    queries performed:
        read:                            6016
        total:                           6016
    transactions:                        6016   (1203.20 per sec.)
    queries:                             6016   (1203.20 per sec.)
    ignored errors:                      3      (0.60 per sec.)
    reconnects:                          0      (0.00 per sec.)

Latency (ms):
         min:                                    0.02
         avg:                                    0.27
         max:                                   12.10
         99th percentile:                        1.06
         sum:                                 4000.00
`

func TestParseSysbench(t *testing.T) {
	got, err := parseSysbench(printed, 3)
	want := measured{queries: 6000, qps: 2000, avg: 0.27, p99: 1.06, errors: 3}
	if err != nil || got != want {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
	for name, text := range map[string]string{
		"a second missing":  strings.Replace(printed, "[ 3s ]", "[ 9s ]", 1),
		"no percentile":     strings.Replace(printed, "99th", "95th", 1),
		"FATAL and nothing": "FATAL: no\n",
	} {
		if got, err := parseSysbench(text, 3); err == nil {
			t.Errorf("%s: got %+v and no error", name, got)
		}
	}
}

func TestParseStat(t *testing.T) {
	const rest = " S 1 2 3 0 -1 4194560 100 0 0 0 250 130 7 9 20 0 5 0 1 2 3"
	for _, name := range []string{"(haproxy)", "(a) b (c)"} {
		got, err := parseStat("42 " + name + rest)
		if err != nil || got != 3800*time.Millisecond {
			t.Errorf("%s: got %v, %v", name, got, err)
		}
	}
	if _, err := parseStat("42 (x) S 1 2"); err == nil {
		t.Error("a short line is no error")
	}
}

func TestParseResident(t *testing.T) {
	got, err := parseResident("Name:\tx\nVmHWM:\t 999 kB\nVmRSS:\t  168096 kB\nRssAnon:\t 1 kB\n")
	if err != nil || got != 168096 {
		t.Errorf("got %d, %v", got, err)
	}
	if _, err := parseResident("Name:\tx\n"); err == nil {
		t.Error("a process without memory, a zombie, is no error")
	}
}

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   float64
	}{{nil, 0}, {[]float64{7}, 7}, {[]float64{9, 1, 2}, 2}, {[]float64{4, 1, 9, 2}, 3}} {
		if got := median(c.values); got != c.want {
			t.Errorf("median of %v: got %v, want %v", c.values, got, c.want)
		}
	}
}

func rounds(target string, rates ...float64) (all []sample) {
	for i, r := range rates {
		all = append(all, sample{Test: "oltp_point_select", Threads: 8, Target: target, Round: i + 1, Rate: r, Proxy: 1000 / r})
	}
	return all
}

func TestRatioPairsRounds(t *testing.T) {
	a := rounds("a", 100, 20, 330)
	b := rounds("b", 100, 10, 300)
	slices.Reverse(b) // measured in another order
	if got := ratioOf(a, b, rate).String(); got != "1.10 [1.00 2.00]" {
		t.Error(got)
	}
	// A round that was stopped has no pair.
	if got := ratioOf(a, b[2:], rate).String(); got != "1.00 [1.00 1.00]" {
		t.Error(got)
	}
	if got := ratioOf(a, nil, rate); got != nil {
		t.Error(got)
	}
}

// The haproxy to compare with is the one whose median is better, not the better
// one of each round.
func TestVerdictsCompareWithTheFasterHAProxy(t *testing.T) {
	r := report{Samples: slices.Concat(
		rounds(direct, 200, 200, 200), rounds(haproxy1, 100, 100, 100), rounds(haproxy2, 300, 90, 90),
		rounds(routerPT, 50, 50, 50), rounds("midflight", 90, 101, 102), rounds("old", 80, 80, 80))}
	r.summarize([]build{{"midflight", ""}, {"old", ""}})
	r.print(io.Discard)
	want := []string{
		"oltp_point_select, 8 threads, midflight: queries/s of haproxy-1's 1.01 [0.90 1.02]: reached (goal at least 1.00)",
		"oltp_point_select, 8 threads, midflight: CPU per query of haproxy-1's 0.99 [0.98 1.11]: reached (goal at most 1.10)",
		"oltp_point_select, 8 threads, midflight: queries/s of the faster router's 2.02 [1.80 2.04]: reached (goal above 1.00)",
		"oltp_point_select, 8 threads, old: queries/s of haproxy-1's 0.80 [0.80 0.80]: MISSED (goal at least 1.00)",
		"oltp_point_select, 8 threads, old: CPU per query of haproxy-1's 1.25 [1.25 1.25]: MISSED (goal at most 1.10)",
		"oltp_point_select, 8 threads, old: queries/s of the faster router's 1.60 [1.60 1.60]: reached (goal above 1.00)",
		"oltp_point_select, 8 threads, old: rate of midflight's 0.79 [0.78 0.89]",
	}
	if !slices.Equal(r.Verdicts, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(r.Verdicts, "\n"), strings.Join(want, "\n"))
	}
}

// A target that isn't measured is not compared with.
func TestVerdictsWithoutHAProxy(t *testing.T) {
	r := report{Samples: rounds("midflight", 90, 101)}
	r.summarize([]build{{"midflight", ""}})
	r.print(io.Discard)
	if len(r.Verdicts) != 0 {
		t.Error(r.Verdicts)
	}
}

func TestParse(t *testing.T) {
	o, err := parse([]string{"-midflight", "new=a/b", "-midflight", "old=c", "-threads", "1,64", "-targets", "direct,old"}, io.Discard)
	if err != nil || !slices.Equal(o.builds, []build{{"new", "a/b"}, {"old", "c"}}) || !slices.Equal(o.threads, []int{1, 64}) {
		t.Errorf("got %+v, %v", o, err)
	}
	specs, err := specsFor(o)
	if err != nil || len(specs) != 2 || specs[0].name != direct || specs[1].name != "old" {
		t.Errorf("got %+v, %v", specs, err)
	}
	for _, args := range [][]string{{"-threads", "0"}, {"-threads", ""}, {"-midflight", "a", "-midflight", "b"}, {"-rounds", "0"}, {"x"}} {
		if _, err := parse(args, io.Discard); err == nil {
			t.Errorf("%q is no error", args)
		}
	}
	o.targets = []string{"haproxy"}
	if _, err := specsFor(o); err == nil {
		t.Error("an unknown target is no error")
	}
}
