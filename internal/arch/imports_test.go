// Package arch keeps the project's import graph in one reviewed file. It is no
// limit: a new edge is allowed, and shows as one line of diff.
package arch

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
)

var rewrite = flag.Bool("rewrite", false, "rewrite testdata/imports.txt")

const golden = "testdata/imports.txt"

func TestImports(t *testing.T) {
	got := imports(t)
	if *rewrite {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	b, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	want := lines(string(b))
	for line := range lines(got) {
		if !want[line] {
			t.Errorf("new: %s", line)
		}
		delete(want, line)
	}
	for line := range want {
		t.Errorf("gone: %s", line)
	}
	if t.Failed() {
		t.Log("if that is meant, run: make golden")
	}
}

// imports returns a line per package with its imports from this module. Tests'
// own imports are left out: a test may look wherever it has to.
func imports(t *testing.T) string {
	t.Helper()
	// -e: that a package compiles is for others to find out.
	cmd := exec.Command("go", "list", "-e", "-json=ImportPath,Imports,GoFiles,Module", "midflight/...")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("list the packages: %v", err)
	}
	var b strings.Builder
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p struct {
			ImportPath string
			Imports    []string // sorted by go list
			GoFiles    []string
			Module     struct{ Path string }
		}
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return b.String()
		} else if err != nil {
			t.Fatalf("read the list of packages: %v", err)
		}
		if len(p.GoFiles) == 0 {
			continue // tests only
		}
		prefix := p.Module.Path + "/"
		fmt.Fprintf(&b, "%s:", strings.TrimPrefix(p.ImportPath, prefix))
		for _, i := range p.Imports {
			if own, ok := strings.CutPrefix(i, prefix); ok {
				fmt.Fprintf(&b, " %s", own)
			}
		}
		b.WriteString("\n")
	}
}

func lines(s string) map[string]bool {
	set := map[string]bool{}
	for line := range strings.Lines(s) {
		set[strings.TrimSuffix(line, "\n")] = true
	}
	return set
}
