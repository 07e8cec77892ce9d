package ghost

import (
	"midflight/ghost/plan"
	"midflight/schema"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestRowMode(t *testing.T) {
	for _, c := range []struct {
		mode    string
		relaxed bool
		want    string
	}{
		{"", false, "NO_AUTO_VALUE_ON_ZERO"},
		{"STRICT_TRANS_TABLES,NO_ZERO_DATE", false, "STRICT_TRANS_TABLES,NO_ZERO_DATE,NO_AUTO_VALUE_ON_ZERO"},
		{"STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE", true, "STRICT_TRANS_TABLES,NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES"},
		{"REAL_AS_FLOAT,PIPES_AS_CONCAT,ANSI_QUOTES,IGNORE_SPACE,ONLY_FULL_GROUP_BY,ANSI", false, "REAL_AS_FLOAT,NO_AUTO_VALUE_ON_ZERO"},
		{"NO_BACKSLASH_ESCAPES,PAD_CHAR_TO_FULL_LENGTH", false, "NO_AUTO_VALUE_ON_ZERO"},
	} {
		if got := rowMode(c.mode, c.relaxed); got != c.want {
			t.Errorf("%q, relaxed %v: %q, want %q", c.mode, c.relaxed, got, c.want)
		}
	}
}

// The server lists a combination with its parts; setting it brings them back.
func TestRelaxedModeWithoutCombinations(t *testing.T) {
	const traditional = "STRICT_TRANS_TABLES,STRICT_ALL_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO,TRADITIONAL,NO_ENGINE_SUBSTITUTION"
	if slices.Contains(strings.Split(rowMode(traditional, true), ","), "TRADITIONAL") {
		t.Error("TRADITIONAL stays and sets NO_ZERO_DATE again: a relaxed copy of zero dates fails")
	}
}

func TestRowSession(t *testing.T) {
	set := strings.Join(rowSession([]Setting{{"sql_mode", "STRICT_TRANS_TABLES"}, {"time_zone", "+02:00"}}, plan.Plan{Columns: []plan.Mapping{
		{From: schema.Column{Type: "timestamp"}, To: schema.Column{Type: "datetime"}},
	}}), "\n")
	for _, want := range []string{"sql_mode = 'STRICT_TRANS_TABLES,NO_AUTO_VALUE_ON_ZERO'", "time_zone = '+02:00'", "READ COMMITTED", "foreign_key_checks = 0", "sql_safe_updates = 0"} {
		if !strings.Contains(set, want) {
			t.Errorf("no %q in %s", want, set)
		}
	}
	if plain := strings.Join(rowSession([]Setting{{"time_zone", "+02:00"}}, plan.Plan{}), "\n"); strings.Contains(plain, "time_zone") {
		t.Errorf("a time zone though no TIMESTAMP is converted: %s", plain)
	}
}

func TestReaching(t *testing.T) {
	for _, c := range [][2]string{{"select * from `a``bcd`", "a`bcd"}, {"select * from ````", "`"}, {"select 1 from\u00a0orders", "orders"}} {
		if !hasWord(c[0], c[1]) {
			t.Errorf("%s is not found in %s", c[1], c[0])
		}
	}
	got := reaching([]string{"Orders"}, map[string]string{
		"v":         "select * from `shop`.`orders`\n",
		"w":         "select * from `shop`.`v`\n",
		"elsewhere": "select 1\n",
	})
	slices.Sort(got)
	if !slices.Equal(got, []string{"Orders", "v", "w"}) {
		t.Errorf("%q", got)
	}
}

func TestDescribe(t *testing.T) {
	b := Blocker{Connection: 7, User: "app", Host: "10.0.0.1", Age: 2500 * time.Millisecond}
	for n, want := range []string{
		"",
		"connection 7 (app@10.0.0.1, 3s)",
		"connection 7 (app@10.0.0.1, 3s), connection 7 (app@10.0.0.1, 3s)",
		"connection 7 (app@10.0.0.1, 3s), connection 7 (app@10.0.0.1, 3s), connection 7 (app@10.0.0.1, 3s)",
		"connection 7 (app@10.0.0.1, 3s), connection 7 (app@10.0.0.1, 3s), connection 7 (app@10.0.0.1, 3s), 1 more",
	} {
		if got := describe(slices.Repeat([]Blocker{b}, n)); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
}

func TestLess(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{{"9", "10", true}, {"10", "9", false}, {"10", "10", false}, {"9223372036854775808", "18446744073709551615", true}} {
		if less(c.a, c.b) != c.want {
			t.Errorf("%s < %s: %v", c.a, c.b, !c.want)
		}
	}
}

func TestSettingAssignment(t *testing.T) {
	for s, want := range map[Setting]string{
		{"foreign_key_checks", "0"}:   "SESSION foreign_key_checks = 0",
		{"sql_mode", ""}:              "SESSION sql_mode = ''",
		{"sql_mode", "A,B"}:           "SESSION sql_mode = 'A,B'",
		{"time_zone", "it's"}:         "SESSION time_zone = 'it''s'",
		{"default_week_format", "10"}: "SESSION default_week_format = 10",
	} {
		if got := s.assignment(); got != want {
			t.Errorf("%v: %s, want %s", s, got, want)
		}
	}
}
