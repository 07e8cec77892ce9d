package main

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"

	"midflight/check"
)

// check is serve's check alone, as a table.
func checkCommand(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	c, err := read("check", args, stdout, stderr, nil)
	if err != nil {
		return err
	}
	defer c.db.Close()
	if err := noArgs("check", c.rest, nil); err != nil {
		return err
	}
	_, findings, err := check.Server(ctx, c.db, c.account())
	if err != nil {
		return err
	}
	if c.json {
		for _, f := range findings {
			if err := writeJSON(stdout, findingObject{f.What, f.OK, f.Warn, f.Found, f.Want, f.Mend}); err != nil {
				return err
			}
		}
		return notReady(c.Server, findings)
	}
	w := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\tWHAT\tFOUND\tWANTED")
	for _, f := range findings {
		mark := "ok"
		if !f.OK {
			mark = "NO"
		} else if f.Warn {
			mark = "!!"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", mark, f.What, f.Found, f.Want)
	}
	w.Flush()
	for _, f := range findings {
		if !f.OK || f.Warn {
			fmt.Fprintf(stdout, "\n%s:\n  %s\n", f.What, f.Mend)
		}
	}
	return notReady(c.Server, findings)
}

func notReady(server string, findings []check.Finding) error {
	if check.Missing(findings) != nil {
		return answerNo{fmt.Errorf("the server %s is not ready for Midflight", server)}
	}
	return nil
}
