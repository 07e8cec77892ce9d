package main

import (
	"flag"
	"fmt"
	"strings"
)

// purposes tells of each command what it takes and what for, in the order of the usage.
var purposes = []struct{ names, args, purpose string }{
	{"serve", "", "run the proxy"},
	{"check", "", "tell whether the server's settings and the account will do"},
	{"plan", `"ALTER …"`, "tell what a change would do, and change nothing"},
	{"status", "[ID]", "show migrations, or all about one"},
	{"watch", "[ID]", "the same, live; with an ID until that one has ended"},
	{"history", "[ID]", "who changed what and when, what is no migration included"},
	{"pause|resume|cutover|cancel|reveal", "ID", "steer a migration"},
	{"throttle", "ID RATIO MINUTES", "let a copy rest for RATIO (0 to 1) of the time"},
	{"limit", "NAME VALUE", "set a throttle's limit; VALUE off: none, default: as configured"},
	{"health", "", "ask the one that runs, with the same settings, whether it lives"},
	{"version", "", "print the version"},
}

func usage() string {
	var b strings.Builder
	b.WriteString("midflight is a MySQL proxy that makes ALTER TABLE online.\n\n")
	for _, p := range purposes {
		call := strings.TrimRight("  midflight "+p.names+" "+p.args, " ")
		if len([]rune(call)) > 26 {
			fmt.Fprintf(&b, "%s\n%27s%s\n", call, "", p.purpose)
			continue
		}
		fmt.Fprintf(&b, "%-27s%s\n", call, p.purpose)
	}
	b.WriteString(`
midflight COMMAND -h shows a command's flags. Each flag may also be given as an
environment variable (--server as MIDFLIGHT_SERVER) or in a file (--config).
check, plan, status, watch and history take -o json.

Exit status: 0 done, 1 it didn't work, 2 called wrongly, 3 the migration failed,
4 it was canceled, 5 the answer is no (check: not ready; plan: refused).
`)
	return b.String()
}

// commandUsage is what COMMAND -h prints.
func commandUsage(name string, f *flag.FlagSet) func() {
	return func() {
		call, purpose := "midflight "+name+" [FLAGS]", ""
		for _, p := range purposes {
			for n := range strings.SplitSeq(p.names, "|") {
				if n == name {
					call, purpose = strings.TrimRight(call+" "+p.args, " "), p.purpose
				}
			}
		}
		fmt.Fprintf(f.Output(), "%s\n%s\n\n", call, purpose)
		f.PrintDefaults()
	}
}
