package ghost

import (
	"strings"
	"testing"

	"midflight/schema"
)

func TestSelected(t *testing.T) {
	table := func(columns ...string) *schema.Table {
		t := &schema.Table{}
		for _, c := range columns {
			name, hidden := strings.CutPrefix(c, "-")
			t.Columns = append(t.Columns, schema.Column{Name: name, Invisible: hidden})
		}
		return t
	}
	if got := strings.Join(selected(table("-a", "b", "-c", "d")), " "); got != "b d" {
		t.Errorf("SELECT * gives %s", got)
	}
}

func TestDescribePrepared(t *testing.T) {
	by := func(sessions int, some ...uint64) Prepared {
		p := Prepared{Sessions: sessions}
		for _, id := range some {
			p.Some = append(p.Some, Preparer{id, "app", "h"})
		}
		return p
	}
	first, second := by(10, 12, 13), by(1, 7)
	first.Text, second.Text = "SELECT a\n FROM t", "SELECT * FROM t"
	want := "2 prepared statements on the table are open; the server prepares them anew, their result columns may change: " +
		"SELECT * FROM t (connection 7 of app@h); SELECT a FROM t (connection 12 of app@h, 13 of app@h and 8 more)"
	if got := describePrepared([]Prepared{first, second}); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	long := by(1, 1)
	long.Text = "SELECT '\xff" + strings.Repeat("ü", 300) + "'"
	got := describePrepared([]Prepared{long, long, long, long, long, long, long})
	if !strings.HasSuffix(got, "; and 2 more") || strings.Count(got, "ü") != 5*(200-len("SELECT '?")) || strings.ToValidUTF8(got, "") != got {
		t.Errorf("many long ones: %s", got)
	}
}

func TestParseNewColumns(t *testing.T) {
	for word, want := range map[string]string{"": "visible", "visible": "visible", "VISIBLE": "visible", "Invisible": "invisible", "1": "error", "hidden": "error"} {
		invisible, err := ParseNewColumns(word)
		got := map[bool]string{true: "invisible", false: "visible"}[invisible]
		if err != nil {
			got = "error"
		}
		if got != want {
			t.Errorf("%q: %s, want %s", word, got, want)
		}
	}
}
