package model

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The table of invariants in docs/algorithm.md and the code agree: who keeps an
// invariant exists, so do its tests and mutations, and no mutation is left out.
func TestAlgorithmDocument(t *testing.T) {
	document, err := os.ReadFile("../../docs/algorithm.md")
	if err != nil {
		t.Fatal(err)
	}
	declared, tests := declarations(t)
	known := map[string]bool{} // mutations; true: named
	for _, m := range mutations {
		known[m.name] = false
	}
	for _, m := range spares {
		known[m.name] = false
	}
	for name := range rare {
		if _, ok := known[name]; !ok {
			t.Errorf("rare: there is no mutation %q", name)
		}
	}
	rows := regexp.MustCompile(`(?m)^\| (\d+[a-z]?) \|.*\|$`).FindAllStringSubmatch(string(document), -1)
	if len(rows) < 15 {
		t.Fatalf("the table has %d invariants", len(rows))
	}
	for _, row := range rows {
		cells := strings.Split(strings.Trim(row[0], "|"), " | ")
		if len(cells) != 6 {
			t.Errorf("%s: %d cells", row[1], len(cells))
			continue
		}
		keepers := regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(cells[3], -1)
		if len(keepers) == 0 {
			t.Errorf("%s: nobody keeps it", row[1])
		}
		for _, keeper := range keepers {
			if name := keeper[1][strings.LastIndex(keeper[1], ".")+1:]; !declared[name] && !declared[keeper[1]] {
				t.Errorf("%s: there is no %s", row[1], keeper[1])
			}
		}
		for test := range strings.SplitSeq(cells[4], ",") {
			if test = strings.TrimSpace(test); !tests[test] {
				t.Errorf("%s: there is no test %q", row[1], test)
			}
		}
		quoted := regexp.MustCompile("“([^”]+)”").FindAllStringSubmatch(cells[5], -1)
		if len(quoted) == 0 && strings.TrimSpace(cells[5]) != "not in the model" {
			t.Errorf("%s: neither mutations nor \"not in the model\"", row[1])
		}
		for _, m := range quoted {
			if _, ok := known[m[1]]; !ok {
				t.Errorf("%s: there is no mutation %q", row[1], m[1])
			}
			known[m[1]] = true
		}
	}
	for name, named := range known {
		if !named {
			t.Errorf("mutation %q breaks no invariant of the table", name)
		}
	}
}

// declarations are the functions and files of the repository, and its tests.
func declarations(t *testing.T) (declared, tests map[string]bool) {
	declared, tests = map[string]bool{}, map[string]bool{}
	function := regexp.MustCompile(`(?m)^func (?:\([^)]*\) )?([A-Za-z0-9_]+)\(`)
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") {
			return err
		}
		source, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		into := declared
		if strings.HasSuffix(path, "_test.go") {
			into = tests
		}
		into[d.Name()] = true
		for _, f := range function.FindAllStringSubmatch(string(source), -1) {
			into[f[1]] = true
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return declared, tests
}
