package signals

import (
	"slices"
	"testing"
)

func TestParseReplicas(t *testing.T) {
	for in, want := range map[string]Replicas{
		"auto": {Find: true}, " AUTO ": {Find: true}, "none": {}, "": {},
		"db2:3306": {Named: []string{"db2:3306"}}, "db2:3306, [::1]:3307": {Named: []string{"db2:3306", "[::1]:3307"}},
	} {
		if got, err := ParseReplicas(in); err != nil || got.Find != want.Find || !slices.Equal(got.Named, want.Named) {
			t.Errorf("%q: %+v, %v", in, got, err)
		}
	}
	for _, in := range []string{"db2", "db2:3306,", "auto,db2:3306", "::1:3306"} {
		if got, err := ParseReplicas(in); err == nil {
			t.Errorf("%q is taken: %+v", in, got)
		}
	}
}

func TestCandidates(t *testing.T) {
	for _, c := range []struct {
		what    string
		e       entry
		readers []string
		known   string
		want    []string
	}{
		{"its own word first", entry{host: "db2", port: "3306"}, []string{"10.0.0.2"}, "", []string{"db2:3306", "10.0.0.2:3306"}},
		{"it says no host", entry{port: "3307"}, []string{"10.0.0.2", "10.0.0.3", "10.0.0.2"}, "", []string{"10.0.0.2:3307", "10.0.0.3:3307"}},
		{"by a socket", entry{port: "3307"}, []string{"localhost"}, "", []string{"source:3307"}},
		{"it was found before", entry{host: "db2", port: "3306"}, []string{"10.0.0.2"}, "10.0.0.2:3306", []string{"10.0.0.2:3306", "db2:3306"}},
		{"by IPv6", entry{port: "3306"}, []string{"::1"}, "", []string{"[::1]:3306"}},
	} {
		if got := c.e.candidates(c.readers, "source", c.known); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.what, got, c.want)
		}
	}
}
