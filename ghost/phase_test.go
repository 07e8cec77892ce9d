package ghost

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

var rewrite = flag.Bool("rewrite", false, "write the golden files anew")

// phases in the order of a migration's life, with what is true in each.
var phases = []struct {
	phase Phase
	what  string
}{
	{Queued, "Another migration of the same table runs; nothing has been done."},
	{Preparing, "The statement is tried on empty tables and the path is chosen; for a copy, the shadow table is made."},
	{Copying, "Rows are copied chunk after chunk while changes are applied behind the copy."},
	{CatchingUp, "All rows are copied; the backlog of changes is brought down to what a moment suffices for."},
	{Verifying, "The tables are compared, range by range and then the rows that changed meanwhile."},
	{Ready, "The shadow is in sync and stays so; the swap waits for its window or the operator's word."},
	{CuttingOver, "Midflight looks for a moment in which nobody has the table locked, locks it, and swaps; or the server does its part, or refuses it after all."},
	{Completed, "The table is what the statement asked for; the old one is kept for a while. By the path `direct`, the session's own server has the statement."},
	{Failed, "The original table is as it was; the record has the reason."},
	{Canceled, "Somebody ended the migration; the original table is as it was."},
}

// TestPhasesDocument keeps docs/phases.md what next says.
func TestPhasesDocument(t *testing.T) {
	const path = "../docs/phases.md"
	var b strings.Builder
	b.WriteString("# Phases of a migration\n\nWritten by `go test ./ghost -run Phases -rewrite` from `ghost/phase.go`.\n\n```mermaid\nstateDiagram-v2\n    [*] --> queued\n")
	for _, p := range phases {
		for _, to := range next[p.phase] {
			if to != Failed && to != Canceled {
				fmt.Fprintf(&b, "    %s --> %s\n", p.phase, to)
			}
		}
		if p.phase.Terminal() {
			fmt.Fprintf(&b, "    %s --> [*]\n", p.phase)
		}
	}
	b.WriteString("```\n\nFrom every phase that isn't an end a migration can also go to `failed` or `canceled`. From `completed` there is no way back: the tables are swapped.\n\n| phase | what is true | goes to |\n|---|---|---|\n")
	for _, p := range phases {
		var to []string
		for _, n := range next[p.phase] {
			to = append(to, "`"+string(n)+"`")
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", p.phase, p.what, strings.Join(to, ", "))
	}
	if *rewrite {
		if err := os.MkdirAll("../docs", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	data, err := os.ReadFile(path)
	if err != nil || string(data) != b.String() {
		t.Errorf("%s is not what ghost/phase.go says (%v): make golden", path, err)
	}
}

func TestPhases(t *testing.T) {
	for p, to := range next {
		if p.Terminal() {
			t.Errorf("%s is an end and goes on", p)
		}
		for _, end := range []Phase{Failed, Canceled} {
			if !slices.Contains(to, end) {
				t.Errorf("%s can't become %s", p, end)
			}
		}
		for _, n := range append(to, p) {
			if !slices.ContainsFunc(phases, func(d struct {
				phase Phase
				what  string
			}) bool {
				return d.phase == n
			}) {
				t.Errorf("%s is not in docs/phases.md", n)
			}
		}
		if p != CuttingOver && slices.Contains(to, Completed) {
			t.Errorf("%s completes without a cut-over", p)
		}
	}
	// Every phase is reached.
	reached := map[Phase]bool{Queued: true}
	for todo := []Phase{Queued}; len(todo) > 0; todo = todo[1:] {
		for _, n := range next[todo[0]] {
			if !reached[n] {
				reached[n] = true
				todo = append(todo, n)
			}
		}
	}
	for _, p := range phases {
		if !reached[p.phase] {
			t.Errorf("%s is never reached", p.phase)
		}
	}
	Ready.mustGoTo(CuttingOver)
	defer func() {
		if recover() == nil {
			t.Error("completed to copying: no panic")
		}
	}()
	Completed.mustGoTo(Copying)
}
