package deployment

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

const deploy = "../../deploy"

// tool is a program that a variable names, else the one of PATH, else the one that
// scripts/prometheus has put into the cache.
func tool(t testing.TB, name, variable string) string {
	t.Helper()
	if path := os.Getenv(variable); path != "" {
		return path
	}
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	missing := "no " + name + ": scripts/prometheus gets it, " + variable + " names it"
	if os.Getenv("MIDFLIGHT_REQUIRE_SERVERS") != "" {
		t.Fatal(missing)
	}
	t.Skip(missing)
	return ""
}

func promtool(t testing.TB, stdin []byte, args ...string) {
	t.Helper()
	cmd := exec.Command(tool(t, "promtool", "MIDFLIGHT_PROMTOOL"), args...)
	cmd.Stdin = bytes.NewReader(stdin)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func read(t testing.TB, path ...string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(append([]string{deploy}, path...)...))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func write(t testing.TB, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// documents are those of a YAML file.
func documents(t testing.TB, b []byte) (all []map[string]any) {
	t.Helper()
	for d := yaml.NewDecoder(bytes.NewReader(b)); ; {
		var one map[string]any
		if err := d.Decode(&one); err != nil {
			if errors.Is(err, io.EOF) {
				return all
			}
			t.Fatal(err)
		}
		all = append(all, one)
	}
}

// at is what a path of keys leads to, nil if it leads nowhere.
func at(v any, path ...any) any {
	for _, p := range path {
		switch p := p.(type) {
		case string:
			m, _ := v.(map[string]any)
			v = m[p]
		case int:
			l, _ := v.([]any)
			if p >= len(l) {
				return nil
			}
			v = l[p]
		}
	}
	return v
}
