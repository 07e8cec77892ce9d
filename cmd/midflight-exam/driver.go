package main

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	_ "github.com/go-sql-driver/mysql"

	"midflight/internal/localserver"
)

// driver is the exam by the tests of go-sql-driver/mysql, of the version that
// go.mod names.
type driver struct{ o options }

const driverPackage = "github.com/go-sql-driver/mysql"

func (d driver) start(ctx context.Context, _ string) (server, error) {
	flavor := localserver.MySQL
	if d.o.mariadb {
		flavor = localserver.MariaDB
	}
	s, err := localserver.Start(ctx, flavor)
	if err != nil {
		return server{}, err
	}
	end := func() error { return errors.Join(s.Kill(), s.Remove()) }
	found := server{addr: s.Addr, end: end}
	if !d.o.mariadb { // MySQL makes a certificate for itself, MariaDB 10.11 has none
		found.cert, found.key = filepath.Join(s.Datadir, "server-cert.pem"), filepath.Join(s.Datadir, "server-key.pem")
	}
	db, err := sql.Open("mysql", s.RootDSN(""))
	if err != nil {
		return server{}, errors.Join(err, end())
	}
	defer db.Close()
	for _, q := range []string{
		"CREATE USER gotest@'%' IDENTIFIED BY 'secret'",
		"GRANT ALL ON *.* TO gotest@'%' WITH GRANT OPTION",
		"CREATE DATABASE gotest",
	} {
		if _, err := db.ExecContext(ctx, q); err != nil {
			return server{}, errors.Join(fmt.Errorf("prepare the server: %w", err), end())
		}
	}
	return found, nil
}

// sit runs the tests. TestConnectorReturnsTimeout dials an address outside, and
// tells nothing of the server.
func (d driver) sit(ctx context.Context, paper, addr string) (results, error) {
	args := append([]string{"test", "-json", "-count=1", "-parallel", "10",
		"-run", d.o.tests.String(), "-skip", "^TestConnectorReturnsTimeout$"}, d.o.more...)
	cmd := exec.CommandContext(ctx, "go", append(args, driverPackage)...)
	cmd.Env = append(os.Environ(),
		"MYSQL_TEST_USER=gotest", "MYSQL_TEST_PASS=secret", "MYSQL_TEST_PROT=tcp",
		"MYSQL_TEST_ADDR="+addr, "MYSQL_TEST_DBNAME=gotest", "MYSQL_TEST_CONCURRENT=1")
	out, err := cmd.CombinedOutput()
	if werr := os.WriteFile(filepath.Join(paper, "go-test.json"), out, 0o644); werr != nil {
		return nil, fmt.Errorf("write the log: %w", werr)
	}
	var failed *exec.ExitError
	if err != nil && !errors.As(err, &failed) {
		return nil, fmt.Errorf("run go test: %w", err)
	}
	return driverResults(out), ctx.Err()
}

// driverResults reads the output of go test -json.
func driverResults(out []byte) results {
	found, said := results{}, map[string]string{}
	for line := range bytes.Lines(out) {
		var event struct{ Action, Test, Output string }
		if json.Unmarshal(line, &event) != nil || event.Test == "" {
			continue
		}
		switch event.Action {
		case "output":
			if !strings.HasPrefix(strings.TrimSpace(event.Output), "===") {
				said[event.Test] += event.Output
			}
		case "fail", "skip":
			found[event.Test] = result{event.Action, said[event.Test]}
		case "pass":
			found[event.Test] = result{status: "pass"}
		}
	}
	return found
}
