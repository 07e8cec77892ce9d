package main

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"midflight/internal/testmysql"
)

// mysqlClient is MySQL's own client with a statement.
func mysqlClient(t *testing.T, s site, statement string) (*exec.Cmd, *bytes.Buffer) {
	t.Helper()
	path := os.Getenv("MIDFLIGHT_MYSQL_CLIENT")
	if path == "" {
		t.Skip("NOT TESTED with the mysql client: MIDFLIGHT_MYSQL_CLIENT names none")
	}
	if s.s.Flavor == testmysql.MariaDB {
		t.Skip("MySQL's client since 9.0 has no mysql_native_password, which is how MariaDB knows root")
	}
	host, port, _ := net.SplitHostPort(s.m.Addr)
	cmd := exec.CommandContext(t.Context(), path, "--no-defaults", "-vvv", "-h", host, "-P", port, "-u", "root", "-e", statement, s.db)
	out := new(bytes.Buffer)
	cmd.Stdout, cmd.Stderr = out, out
	return cmd, out
}

func TestMySQLClient(t *testing.T) {
	each(t, func(t *testing.T, s site) {
		cmd, out := mysqlClient(t, s, "ALTER TABLE /* midflight: strategy=copy */ t ADD COLUMN a INT; SELECT COUNT(a) FROM t; ALTER TABLE t DROP COLUMN nothing")
		err := cmd.Run()
		for _, says := range []string{"Query OK, 0 rows affected", "Records: 0  Duplicates: 0  Warnings: 0", "ERROR 1091 (42000)"} {
			if !strings.Contains(out.String(), says) {
				t.Errorf("the mysql client (%v) doesn't print %q:\n%s", err, says, out)
			}
		}
	})
}

// Ctrl-C in the mysql client is a KILL QUERY from another connection.
func TestMySQLClientInterrupted(t *testing.T) {
	each(t, func(t *testing.T, s site) {
		cmd, out := mysqlClient(t, s, "SET @midflight_strategy = 'copy', @midflight_cutover = 'manual'; ALTER TABLE t ADD COLUMN a INT")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		var id string
		await(t, "the ALTER is held", func() bool {
			id = s.value("SELECT MAX(id) FROM midflight.migrations WHERE schema_name = ? AND phase = 'ready'", s.db)
			return id != ""
		})
		cmd.Process.Signal(os.Interrupt)
		cmd.Wait()
		if !strings.Contains(out.String(), "ERROR 1317 (70100)") {
			t.Errorf("the mysql client prints\n%s", out)
		}
		await(t, "the migration is canceled", func() bool { return strings.HasPrefix(s.row(id), "canceled") })
	})
}

const nodeScript = `
const mysql = require('mysql2/promise');
(async () => {
  const [host, port] = process.argv[2].split(':');
  const c = await mysql.createConnection({host, port: +port, user: 'root', database: process.argv[3], multipleStatements: true});
  const [r] = await c.query("ALTER TABLE /* midflight: strategy=copy */ t ADD COLUMN a INT DEFAULT 5");
  console.log('text', r.affectedRows, r.info);
  const [x] = await c.execute("ALTER TABLE t ADD COLUMN b INT DEFAULT 6");
  console.log('prepared', x.affectedRows);
  const [rows] = await c.execute("SELECT id, v, a, b FROM t WHERE id = ?", [2]);
  console.log(JSON.stringify(rows));
  const [several] = await c.query("INSERT INTO t (v) VALUES ('d'); ALTER TABLE t DROP COLUMN a; SELECT COUNT(*) AS n FROM t");
  console.log('several', several.length, several[2][0].n);
  try { await c.query("ALTER TABLE t DROP COLUMN nothing"); } catch (e) { console.log(e.errno, e.sqlState, e.code); }
  await c.beginTransaction(); await c.query("DELETE FROM t"); await c.rollback();
  await c.end();
})().catch(e => { console.error(e); process.exit(1); });
`

func TestNodeDriver(t *testing.T) {
	dir := nodeModules(t)
	each(t, func(t *testing.T, s site) {
		cmd := exec.CommandContext(t.Context(), "node", "-", s.m.Addr, s.db)
		cmd.Stdin, cmd.Env = strings.NewReader(nodeScript), append(os.Environ(), "NODE_PATH="+dir)
		out, err := cmd.CombinedOutput()
		want := `text 0 Records: 0  Duplicates: 0  Warnings: 0
prepared 0
[{"id":2,"v":"b","a":5,"b":6}]
several 3 4
1091 42000 ER_CANT_DROP_FIELD_OR_KEY
`
		if err != nil || string(out) != want {
			t.Errorf("%v\n%s\nwant\n%s", err, out, want)
		}
	})
}

// nodeModules is where scripts/drivers has put mysql2.
func nodeModules(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(os.Getenv("MIDFLIGHT_DRIVERS"), "node_modules")
	if _, err := os.Stat(filepath.Join(dir, "mysql2")); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("MIDFLIGHT_DRIVERS has no mysql2: %v", err)
		}
		t.Skipf("NOT TESTED with node's mysql2 (eval \"$(scripts/drivers env)\"): %v", err)
	}
	return dir
}
