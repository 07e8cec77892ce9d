package localserver

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// templateLayout goes into the template's name: bump it when initialize changes.
const templateLayout = 1

// template returns a freshly initialized data folder to copy from. To make one
// takes MySQL 3 s, to copy one 0.1 s, so there is one per version in the cache.
func template(ctx context.Context, f Flavor, program string) (string, error) {
	v, err := version(program)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(program + v))
	return kept(fmt.Sprintf("%s-%x-%d", f, sum[:6], templateLayout), func(data string) error {
		if err := initialize(ctx, f, program, data); err != nil {
			return fmt.Errorf("initialize a data folder with %s: %w", program, err)
		}
		return nil
	})
}

// kept returns the folder of the cache with this name, which make makes if it isn't there.
func kept(name string, make func(data string) error) (string, error) {
	cache, err := cacheDir()
	if err != nil {
		return "", err
	}
	parent := filepath.Join(cache, "templates")
	dir := filepath.Join(parent, name)
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}

	if err := os.MkdirAll(parent, 0o755); err != nil {
		return "", fmt.Errorf("make the templates' folder: %w", err)
	}
	work, err := os.MkdirTemp(parent, ".new-")
	if err != nil {
		return "", fmt.Errorf("make a folder for the template: %w", err)
	}
	defer os.RemoveAll(work)
	data := filepath.Join(work, "data")
	if err := make(data); err != nil {
		return "", err
	}
	// Test processes may do this at the same time: the first one's is kept, and
	// the rename of the others fails, because the folder is not empty.
	if err := os.Rename(data, dir); err != nil {
		if _, missing := os.Stat(dir); missing != nil {
			return "", fmt.Errorf("put the template into its place: %w", err)
		}
	}
	return dir, nil
}

// initialize makes a data folder with root@localhost and root@127.0.0.1, both
// without a password, and no other accounts for people.
func initialize(ctx context.Context, f Flavor, program, data string) error {
	if f == MariaDB {
		return initializeMariaDB(ctx, program, data)
	}
	// A server with skip-name-resolve doesn't take 127.0.0.1 for localhost.
	accounts := data + ".sql"
	err := os.WriteFile(accounts, []byte(
		"CREATE USER root@'127.0.0.1';\nGRANT ALL ON *.* TO root@'127.0.0.1' WITH GRANT OPTION;\n"), 0o644)
	if err != nil {
		return fmt.Errorf("write the accounts: %w", err)
	}
	if err := run(ctx, "", program, asUser("--no-defaults", "--initialize-insecure",
		"--datadir="+data, "--init-file="+accounts, "--innodb-redo-log-capacity=8M")...); err != nil {
		return err
	}
	// It holds the server's UUID, which must not be the same twice.
	return os.Remove(filepath.Join(data, "auto.cnf"))
}

func initializeMariaDB(ctx context.Context, program, data string) error {
	install := filepath.Join(filepath.Dir(program), "mariadb-install-db")
	if !isFile(install) { // a server in /usr/sbin has it in /usr/bin
		var err error
		if install, err = exec.LookPath("mariadb-install-db"); err != nil {
			return fmt.Errorf("find mariadb-install-db, on PATH or beside the server: %w", err)
		}
	}
	if err := run(ctx, "", install, asUser("--no-defaults", "--auth-root-authentication-method=normal",
		"--skip-test-db", "--datadir="+data)...); err != nil {
		return err
	}
	// An anonymous account would be preferred to a test's user@'%'.
	return run(ctx, "DELETE FROM mysql.global_priv WHERE User = '';\n", program,
		asUser("--no-defaults", "--bootstrap", "--datadir="+data)...)
}

// asUser adds the option without which a server refuses to run as root.
func asUser(args ...string) []string {
	if os.Geteuid() == 0 {
		args = append(args, "--user=root")
	}
	return args
}

// run runs a program; its output is wanted only when it fails.
func run(ctx context.Context, input, program string, args ...string) error {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Stdin = strings.NewReader(input)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("run %s: %w\n%s", strings.Join(cmd.Args, " "), err, out)
	}
	return nil
}

// copyDir copies folders and plain files, which is what a data folder consists of.
func copyDir(from, to string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, rel)
		if d.IsDir() {
			return os.MkdirAll(target, 0o700)
		}
		return copyFile(path, target)
	})
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		out.Close()
		return err
	}
	return out.Close()
}
