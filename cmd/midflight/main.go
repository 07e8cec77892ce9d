// Command midflight is a MySQL proxy that makes ALTER TABLE online.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"midflight/internal/version"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
	default:
		if text := err.Error(); text != "" {
			fmt.Fprintln(os.Stderr, "midflight:", text)
		}
		os.Exit(exitStatus(err))
	}
}

const usage = `midflight is a MySQL proxy that makes ALTER TABLE online.

  midflight serve          run the proxy
  midflight check          tell whether the server's settings and the account will do
  midflight plan "ALTER …" tell what a change would do, and change nothing
  midflight status [ID]    show migrations, or all about one
  midflight watch [ID]     the same, live; with an ID until that one has ended
  midflight history [ID]   who changed what and when, what is no migration included
  midflight pause|resume|cutover|cancel|reveal ID
  midflight throttle ID RATIO MINUTES
                           let a copy rest for RATIO (0 to 1) of the time
  midflight limit NAME VALUE
                           set a throttle's limit; VALUE off: none, default: as configured
  midflight health         ask the one that runs, with the same settings, whether it lives
  midflight version

midflight COMMAND -h shows a command's flags. Each flag may also be given as an
environment variable (--server as MIDFLIGHT_SERVER) or in a file (--config).
check, plan, status, watch and history take -o json.

Exit status: 0 done, 1 it didn't work, 2 called wrongly, 3 the migration failed,
4 it was canceled, 5 the answer is no (check: not ready; plan: refused).
`

// run is the program.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	if len(args) == 0 {
		fmt.Fprint(stderr, usage)
		return usageError{errors.New("no command given")}
	}
	command, args := args[0], args[1:]
	switch command {
	case "serve":
		return serve(ctx, args, stdout, stderr)
	case "health":
		return health(ctx, args, stdout, stderr)
	case "check":
		return checkCommand(ctx, args, stdout, stderr)
	case "status":
		return status(ctx, args, stdout, stderr)
	case "plan":
		return planCommand(ctx, args, stdout, stderr)
	case "history":
		return history(ctx, args, stdout, stderr)
	case "watch":
		return watch(ctx, args, stdout, stderr)
	case "pause", "resume", "cutover", "cancel", "reveal":
		return control(ctx, command, args, stdout, stderr)
	case "throttle", "limit":
		return callWith(ctx, command, args, stdout, stderr)
	case "version", "-version", "--version":
		fmt.Fprintln(stdout, "midflight", version.String())
		return nil
	case "help", "-h", "-help", "--help":
		fmt.Fprint(stdout, usage)
		return nil
	}
	return usageError{fmt.Errorf("no command %q; see midflight help", command)}
}
