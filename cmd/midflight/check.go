package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"text/tabwriter"

	"midflight/check"
	"midflight/mysqld"
)

// check is serve's check alone, as a table.
func checkCommand(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var c config
	rest, err := c.parse("check", args, stderr, func(c *config, f *flag.FlagSet) { c.serverFlags(f) })
	if err := noArgs("check", rest, err); err != nil {
		return err
	}
	db, err := mysqld.Open(c.account())
	if err != nil {
		return err
	}
	defer db.Close()
	_, findings, err := check.Server(ctx, db, c.account())
	if err != nil {
		return err
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
	if check.Missing(findings) != nil {
		return fmt.Errorf("the server %s is not ready for Midflight", c.Server)
	}
	return nil
}
