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
	case errors.As(err, new(usageError)):
		fmt.Fprintln(os.Stderr, "midflight:", err)
		os.Exit(2)
	default:
		fmt.Fprintln(os.Stderr, "midflight:", err)
		os.Exit(1)
	}
}

const usage = `midflight is a MySQL proxy that makes ALTER TABLE online.

  midflight serve    run the proxy
  midflight check    tell whether the server's settings and the account will do
  midflight status   show migrations
  midflight watch    show migrations, live
  midflight pause|resume|cutover|cancel|reveal ID
  midflight version

midflight COMMAND -h shows a command's flags. Each flag may also be given as an
environment variable (--server as MIDFLIGHT_SERVER) or in a file (--config).
`

// usageError is an error in how the program was called: exit status 2.
type usageError struct{ error }

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
	case "check":
		return checkCommand(ctx, args, stdout, stderr)
	case "status":
		return status(ctx, args, stdout, stderr)
	case "watch":
		return watch(ctx, args, stdout, stderr)
	case "pause", "resume", "cutover", "cancel", "reveal":
		return control(ctx, command, args, stdout, stderr)
	case "version", "-version", "--version":
		fmt.Fprintln(stdout, "midflight", version.String())
		return nil
	case "help", "-h", "-help", "--help":
		fmt.Fprint(stdout, usage)
		return nil
	}
	return usageError{fmt.Errorf("no command %q; see midflight help", command)}
}
