package main

import (
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
)

// A result is what became of a test.
type result struct {
	status  string // pass, fail or skip
	message string // why not pass
}

type results map[string]result

func (r results) summary() string {
	count := map[string]int{}
	for _, one := range r {
		count[one.status]++
	}
	return fmt.Sprintf("%d passed, %d failed, %d skipped", count["pass"], count["fail"], count["skip"])
}

// report prints each test that passes directly and doesn't through Midflight,
// and each that has another result otherwise; it tells whether there is none.
// Of a test that fails on both sides nothing is learnt.
func report(w io.Writer, exam string, direct, through results) bool {
	names := slices.Sorted(maps.Keys(direct))
	for name := range through {
		if _, ok := direct[name]; !ok {
			names = append(names, name)
		}
	}
	same, fails, differ := 0, 0, 0
	for _, name := range names {
		d, t := direct[name], through[name]
		switch {
		case d.status == t.status && d.status == "fail":
			fails++
		case d.status == t.status:
			same++
		default:
			differ++
			fmt.Fprintf(w, "\n%s: directly %s, through Midflight %s\n%s", name, d, t, indent(d.message+t.message))
		}
	}
	fmt.Fprintf(w, "%s: %d the same, %d different", exam, same, differ)
	if fails > 0 {
		fmt.Fprintf(w, ", %d fail directly too and say nothing", fails)
	}
	fmt.Fprintln(w)
	return differ == 0
}

func (r result) String() string {
	if r.status == "" {
		return "not run"
	}
	return r.status
}

func indent(text string) string {
	if text == "" {
		return ""
	}
	return "    " + strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n    ") + "\n"
}

// write keeps results for a later -direct, and for people: a test a line, its
// message quoted.
func (r results) write(path string) error {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(r)) {
		fmt.Fprintf(&b, "%s\t%s\t%q\n", name, r[name].status, r[name].message)
	}
	if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
		return fmt.Errorf("write the results: %w", err)
	}
	return nil
}

func readResults(path string) (results, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the results of the direct run: %w", err)
	}
	r := results{}
	for line := range strings.Lines(string(text)) {
		var name string
		var one result
		if _, err := fmt.Sscanf(line, "%s\t%s\t%q", &name, &one.status, &one.message); err != nil {
			return nil, fmt.Errorf("read the results of the direct run: %s: %q: %w", path, line, err)
		}
		r[name] = one
	}
	return r, nil
}
