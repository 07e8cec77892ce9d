package main

import (
	"maps"
	"path/filepath"
	"strings"
	"testing"
)

func TestMTRResults(t *testing.T) {
	got := mtrResults(`==============================================================================
                  TEST NAME                       RESULT  TIME (ms) COMMENT
------------------------------------------------------------------------------
[  4%] main.1st                                  [ pass ]     41
[  9%] main.bigint                               [ fail ]
        Test ended at 2026-11-22 21:20:14

mysqltest: At line 44: Query failed.
Returned error: 1846

The result from queries just before the failure was:
< snip >
[ 13%] main.windows                              [ skipped ]  Need windows
[100%] shutdown_report                           [ pass ]       
------------------------------------------------------------------------------
Spent 3.911 of 8 seconds executing testcases
`)
	want := results{
		"main.1st":     {status: "pass"},
		"main.bigint":  {"fail", "mysqltest: At line 44: Query failed.\nReturned error: 1846\n"},
		"main.windows": {"skip", "Need windows\n"},
	}
	if !maps.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

func TestDriverResults(t *testing.T) {
	got := driverResults([]byte(`{"Action":"run","Test":"TestA"}
{"Action":"output","Test":"TestA","Output":"=== RUN   TestA\n"}
{"Action":"output","Test":"TestA","Output":"    a_test.go:1: no\n"}
{"Action":"fail","Test":"TestA"}
{"Action":"output","Test":"TestB","Output":"    b_test.go:1: by the way\n"}
{"Action":"pass","Test":"TestB"}
not JSON
{"Action":"fail"}
`))
	want := results{"TestA": {"fail", "    a_test.go:1: no\n"}, "TestB": {status: "pass"}}
	if !maps.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

func TestReport(t *testing.T) {
	pass, fail := result{status: "pass"}, result{"fail", "no\n"}
	for _, c := range []struct {
		name            string
		direct, through results
		same            bool
		says            string
	}{
		{"all pass", results{"a": pass}, results{"a": pass}, true, "1 the same, 0 different"},
		{"all fail", results{"a": fail}, results{"a": fail}, true, "0 the same, 0 different, 1 fail directly too"},
		{"one fails", results{"a": pass, "b": pass}, results{"a": pass, "b": fail}, false, "b: directly pass, through Midflight fail\n    no\n"},
		{"one is not run", results{"a": pass}, results{}, false, "a: directly pass, through Midflight not run"},
		{"one passes", results{"a": fail}, results{"a": pass}, false, "a: directly fail, through Midflight pass\n    no\n"},
		{"one is new", results{}, results{"a": pass}, false, "a: directly not run, through Midflight pass"},
	} {
		var b strings.Builder
		if same := report(&b, "exam", c.direct, c.through); same != c.same || !strings.Contains(b.String(), c.says) {
			t.Errorf("%s: %v, %s", c.name, same, b.String())
		}
	}
}

func TestResultsFile(t *testing.T) {
	want := results{"a": {status: "pass"}, "b/c": {"fail", "two\n\"lines\"\n"}, "d": {"skip", ""}}
	path := filepath.Join(t.TempDir(), "direct.tsv")
	if err := want.write(path); err != nil {
		t.Fatal(err)
	}
	got, err := readResults(path)
	if err != nil || !maps.Equal(got, want) {
		t.Errorf("got %q, %v", got, err)
	}
}
