package model

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var rewrite = flag.Bool("rewrite", false, "write the scripts' narrations anew")

// TestScripts tells each script's story and compares it with the one that was
// reviewed. Only rewrite what you understand.
func TestScripts(t *testing.T) {
	paths, _ := filepath.Glob("testdata/*.txt")
	if len(paths) == 0 {
		t.Fatal("no scripts")
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			r, want := readScript(t, path)
			got := narrate(r.Run, Real())
			if *rewrite {
				if err := os.WriteFile(path, []byte(r.text+"----\n"+got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != want {
				t.Errorf("got:\n%s\nwant:\n%s", got, want)
			}
		})
	}
}

// A script is a run as somebody wrote it.
type script struct {
	Run
	text string
}

func readScript(t *testing.T, path string) (r script, want string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	r.text, want, _ = strings.Cut(string(data), "----\n")
	if r.Run, err = parseRun(r.text); err != nil {
		t.Fatal(err)
	}
	return r, want
}

// narrate tells what each step did, and how it ended.
func narrate(r Run, rules Rules) string {
	var b strings.Builder
	w := New(r.Setting, rules)
	var said []string
	w.Say = func(format string, args ...any) { said = append(said, fmt.Sprintf(format, args...)) }
	tell := func(what string) {
		b.WriteString(what)
		if len(said) > 0 {
			b.WriteString(": " + strings.Join(said, "; "))
		}
		b.WriteByte('\n')
		said = nil
	}
	for _, s := range r.Steps {
		if !w.Do(s) {
			said = []string{"not possible now"}
		}
		tell(s.String())
	}
	w.Finish()
	tell("finish")
	switch {
	case w.Fault != "":
		b.WriteString("FAULT: " + w.Fault + "\n")
	case w.Failed != "":
		b.WriteString("failed: " + w.Failed + "\n")
	default:
		b.WriteString("equal\n")
	}
	return b.String()
}

// script is what parseRun reads.
func (r Run) script() string {
	var b strings.Builder
	if r.Added[0] {
		b.WriteString("unique added\n")
	}
	if r.Added[1] {
		b.WriteString("second unique added\n")
	}
	if r.Broken > 0 {
		fmt.Fprintf(&b, "broken %d\n", r.Broken)
	}
	if r.Spellings {
		b.WriteString("spellings\n")
	}
	b.WriteString("rows " + strings.Trim(r.Rows.String(), "{}") + "\n")
	for _, s := range r.Steps {
		b.WriteString(s.String() + "\n")
	}
	return b.String()
}

func parseRun(script string) (Run, error) {
	var r Run
	for line := range strings.Lines(script) {
		line, _, _ = strings.Cut(strings.TrimSpace(line), "#")
		line = strings.TrimSpace(line)
		switch {
		case line == "":
		case line == "unique added":
			r.Added[0] = true
		case line == "second unique added":
			r.Added[1] = true
		case strings.HasPrefix(line, "broken "):
			k, err := parseKey(strings.TrimPrefix(line, "broken "))
			if err != nil {
				return r, err
			}
			r.Broken = k
		case line == "spellings":
			r.Spellings = true
		case line == "rows" || strings.HasPrefix(line, "rows "):
			for _, word := range strings.Fields(line)[1:] {
				op, err := parseWrite(word)
				if err != nil {
					return r, err
				}
				r.Rows[op.To] = Row{There: true, Caps: op.Caps, U: op.U, Note: -int16(op.To)}
			}
		default:
			s, err := ParseStep(line)
			if err != nil {
				return r, err
			}
			r.Steps = append(r.Steps, s)
		}
	}
	return r, nil
}
