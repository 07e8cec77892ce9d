package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// clientTest is the exam by mysql_client_test, the tests of MySQL's own C API:
// prepared statements, cursors, COM_CHANGE_USER and so on, which mysqltest
// doesn't say. They are run one by one, or one that aborts would hide the others;
// some then fail directly too, since they want what another one has left.
type clientTest struct{ *mtr }

func (c clientTest) sit(ctx context.Context, paper, addr string) (results, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	program := filepath.Join(c.suite, "bin", "mysql_client_test")
	list, err := exec.CommandContext(ctx, program, "--no-defaults", "--show-tests").Output()
	if err != nil {
		return nil, fmt.Errorf("list the tests of mysql_client_test: %w", err)
	}
	found := results{}
	for line := range strings.Lines(string(list)) {
		name := strings.TrimSpace(line)
		if name == "" || strings.Contains(name, " ") || !c.o.tests.MatchString(name) { // "All possible test names:"
			continue
		}
		args := append([]string{"--no-defaults", "--silent", "--host=" + host, "--port=" + port, "--user=root",
			"--vardir=" + filepath.Join(paper, "server")}, c.o.more...)
		if found[name], err = runClientTest(ctx, program, append(args, name)...); err != nil {
			return nil, err
		}
	}
	return found, nil
}

// clientTestTime is for one test; the slowest takes some seconds.
const clientTestTime = time.Minute

func runClientTest(ctx context.Context, program string, args ...string) (result, error) {
	one, cancel := context.WithTimeout(ctx, clientTestTime)
	defer cancel()
	out, err := exec.CommandContext(one, program, args...).CombinedOutput()
	var failed *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return result{}, ctx.Err()
	case err == nil:
		return result{status: "pass"}, nil
	case errors.As(err, &failed):
		// Its last words say why; before them it may have printed whole tables.
		text := string(out)
		return result{"fail", strings.ToValidUTF8(text[max(0, len(text)-1000):], "?") + "\n" + err.Error() + "\n"}, nil
	}
	return result{}, fmt.Errorf("run mysql_client_test: %w", err)
}
