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

// run is the program.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	if len(args) == 0 {
		fmt.Fprint(stderr, usage())
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
		fmt.Fprint(stdout, usage())
		return nil
	}
	return usageError{fmt.Errorf("no command %q; see midflight help", command)}
}
