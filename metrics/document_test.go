package metrics_test

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

var rewrite = flag.Bool("rewrite", false, "rewrite docs/metrics.md")

const document = "../docs/metrics.md"

// A row of the document's tables: what a series is, and what it is good for, which is
// written by hand.
type row struct{ name, kind, labels, help, use string }

func (r row) String() string {
	return fmt.Sprintf("| `%s` | %s | %s | %s | %s |", r.name, r.kind, r.labels, r.help, r.use)
}

var rowOf = regexp.MustCompile("^\\| `(midflight_\\w+)` \\| (.*?) \\| (.*?) \\| (.*?) \\| (.*?) \\|$")

// exposed are the rows of what a registry with something in every series exposes.
func exposed(t *testing.T) map[string]row {
	t.Helper()
	registry := filled().Registry
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]row{}
	for _, f := range families {
		if !strings.HasPrefix(f.GetName(), "midflight_") {
			continue // the libraries' own
		}
		labels := map[string]bool{}
		for _, m := range f.Metric {
			for _, l := range m.Label {
				labels["`"+l.GetName()+"`"] = true
			}
		}
		rows[f.GetName()] = row{name: f.GetName(), kind: strings.ToLower(f.GetType().String()),
			labels: strings.Join(slices.Sorted(maps.Keys(labels)), " "), help: f.GetHelp()}
	}
	described := make(chan *prometheus.Desc)
	go func() { registry.Describe(described); close(described) }()
	for d := range described {
		if name := regexp.MustCompile(`fqName: "(midflight_\w+)"`).FindStringSubmatch(d.String()); name != nil && rows[name[1]].name == "" {
			t.Errorf("%s is registered, and filled has nothing in it", name[1])
		}
	}
	return rows
}

// The document has every series that there is and no other, and says what to do with it.
func TestDocument(t *testing.T) {
	b, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	missing := exposed(t)
	var out strings.Builder
	for line := range strings.Lines(string(b)) {
		f := rowOf.FindStringSubmatch(strings.TrimSuffix(line, "\n"))
		if f == nil {
			out.WriteString(line)
			continue
		}
		has := row{f[1], f[2], f[3], f[4], f[5]}
		want, ok := missing[has.name]
		delete(missing, has.name)
		want.use = has.use
		switch {
		case *rewrite && ok:
			fmt.Fprintln(&out, want)
		case *rewrite:
		case !ok:
			t.Errorf("%s: there is no %s, or it is there twice", document, has.name)
		case has != want:
			t.Errorf("%s has\n%s\nnot\n%s", document, has, want)
		}
		if strings.TrimSpace(has.use) == "" {
			t.Errorf("%s doesn't say what %s is good for", document, has.name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(missing)) {
		if *rewrite {
			fmt.Fprintln(&out, missing[name])
		} else {
			t.Errorf("%s: %s is missing (make golden)", document, name)
		}
	}
	if *rewrite {
		if err := os.WriteFile(document, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
