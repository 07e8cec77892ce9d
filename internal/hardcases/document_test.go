package hardcases

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var (
	documented = regexp.MustCompile(`(?m)^\| (\d+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$`)
	quoted     = regexp.MustCompile("`([^`]+)`")
)

// TestDocument: docs/hardcases.md has a row for each of the 80 cases, which
// names all of its tests here, and others that exist.
func TestDocument(t *testing.T) {
	text, err := os.ReadFile("../../docs/hardcases.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := documented.FindAllStringSubmatch(string(text), -1)
	if len(rows) != 80 {
		t.Fatalf("%d rows instead of 80", len(rows))
	}
	for i, row := range rows {
		number := strconv.Itoa(i + 1)
		if row[1] != number {
			t.Errorf("row %d is of case %s", i+1, row[1])
		}
		prefix := strings.Repeat("0", 2-len(number)) + number + "-"
		ours := slices.ContainsFunc(cases, func(c hardCase) bool { return strings.HasPrefix(c.name, prefix) })
		var named []string
		for _, n := range quoted.FindAllStringSubmatch(row[4], -1) {
			named = append(named, n[1])
		}
		if ours != slices.Contains(named, prefix+"*") {
			t.Errorf("case %s: tests of ours: %v, but the row names %q", number, ours, named)
		}
		if len(named) == 0 && strings.TrimSpace(row[4]) != "none" {
			t.Errorf("case %s names no test: %q", number, row[4])
		}
		for _, n := range named {
			if n != prefix+"*" && !exists(t, n) {
				t.Errorf("case %s names %s, which does not exist", number, n)
			}
		}
	}
}

// TestMarkers: what is marked for today is a case.
func TestMarkers(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range cases {
		if seen[c.name] {
			t.Errorf("two cases are called %s", c.name)
		}
		seen[c.name] = true
	}
	for name := range refusedToday {
		if !seen[name] {
			t.Errorf("refusedToday has %s, which is no case", name)
		}
	}
	for name := range openToday {
		if !seen[name] {
			t.Errorf("openToday has %s, which is no case", name)
		}
	}
}

// exists tells whether a package has a test: "internal/oracle.TestLateDuplicate".
func exists(t *testing.T, name string) bool {
	t.Helper()
	dir, function, ok := strings.Cut(name, ".")
	if !ok {
		return false
	}
	files, err := filepath.Glob(filepath.Join("../..", dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), f, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range parsed.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == function {
				return true
			}
		}
	}
	return false
}
