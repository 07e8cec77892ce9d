// Package check tells whether a server's settings and an account's privileges
// are enough for Midflight, and which statement mends what is missing.
package check

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"midflight/mysqld"
)

// A Finding is one thing that was looked at.
type Finding struct {
	What  string // "binlog_format"
	Found string // "MIXED"
	Want  string // "ROW"
	OK    bool
	Warn  bool   // it will do, and should be mended all the same
	Mend  string // the statement, or the line of the configuration, that mends it
}

// Server asks the server. The error says that it could not be asked, and why.
func Server(ctx context.Context, db *sql.DB, c mysqld.Config) (mysqld.Flavor, []Finding, error) {
	if err := db.PingContext(ctx); err != nil {
		return mysqld.Flavor{}, nil, unreachable(err, c)
	}
	f, err := mysqld.ReadFlavor(ctx, db)
	if err != nil {
		return f, nil, err
	}
	findings := []Finding{version(f)}
	for _, v := range variables(f) {
		finding, err := v.check(ctx, db)
		if err != nil {
			return f, nil, err
		}
		findings = append(findings, finding)
	}
	kept, err := binlogKept(ctx, db, f)
	if err != nil {
		return f, nil, err
	}
	findings = append(findings, kept)
	in, err := mysqld.ReadCluster(ctx, db, f)
	if err != nil {
		return f, nil, err
	}
	if in != mysqld.NoCluster {
		findings = append(findings, clusters[in])
	}
	account, err := privileges(ctx, db, f)
	if err != nil {
		return f, nil, err
	}
	findings = append(findings, account...)
	granted := account[0]
	if granted.OK {
		filters, err := binlogFilters(ctx, db, f)
		if err != nil {
			return f, nil, err
		}
		findings = append(findings, filters)
	}
	if !f.MariaDB && granted.OK { // without SELECT it can't be seen
		locks, err := metadataLocks(ctx, db)
		if err != nil {
			return f, nil, err
		}
		shown, err := transactions(ctx, db)
		if err != nil {
			return f, nil, err
		}
		findings = append(findings, locks, shown)
	}
	return f, findings, nil
}

// Missing joins what isn't as it must be into one error; nil when all is.
func Missing(findings []Finding) error {
	var missing []string
	for _, f := range findings {
		if !f.OK {
			missing = append(missing, fmt.Sprintf("%s: found %s, wanted %s. To mend it: %s", f.What, f.Found, f.Want, f.Mend))
		}
	}
	if missing == nil {
		return nil
	}
	return errors.New(strings.Join(missing, "\n  "))
}

func unreachable(err error, c mysqld.Config) error {
	switch mysqld.Number(err) {
	case mysqld.ErrAccessDenied:
		return fmt.Errorf("the server %s refuses the account %s: %w. Check --user and the password (--password-file or MIDFLIGHT_PASSWORD), or create it: CREATE USER '%s'@'%%' IDENTIFIED BY '…'", c.Addr, c.User, err, c.User)
	case 0:
		return fmt.Errorf("the server %s can't be reached: %w. Check --server, and that the server runs and listens there", c.Addr, err)
	}
	return fmt.Errorf("connect to the server %s: %w", c.Addr, err)
}

func version(f mysqld.Flavor) Finding {
	finding := Finding{What: "the server's version", Found: f.String(), Want: "MySQL 8.0.16 or MariaDB 10.6, or later", Mend: "upgrade the server"}
	finding.OK = f.MariaDB && f.Version >= 100600 || !f.MariaDB && f.Version >= 80016
	return finding
}

type variable struct{ name, want, mend string }

func variables(f mysqld.Flavor) []variable {
	v := []variable{
		{"log_bin", "1", "put log_bin=binlog into the [mysqld] section of the server's configuration and restart it"},
		{"binlog_format", "ROW", "SET GLOBAL binlog_format = 'ROW'; and put binlog_format=ROW into the server's configuration"},
	}
	if !f.MariaDB {
		v = append(v, variable{"performance_schema", "1", "put performance_schema=ON into the [mysqld] section of the server's configuration and restart it"})
	}
	return v
}

func (v variable) check(ctx context.Context, db *sql.DB) (Finding, error) {
	f := Finding{What: v.name, Want: v.want, Mend: v.mend}
	if err := db.QueryRowContext(ctx, "SELECT /* midflight */ @@GLOBAL."+v.name).Scan(&f.Found); err != nil {
		return f, fmt.Errorf("ask the server for %s: %w", v.name, err)
	}
	f.OK = strings.EqualFold(f.Found, v.want)
	if v.want == "1" {
		f.Want = "ON"
		f.Found = map[bool]string{true: "ON", false: "OFF"}[f.OK]
	}
	return f, nil
}

// leastKept is how long the binlog should be kept: whoever goes on after a night reads it
// from where the other has stopped.
const leastKept = 24 * time.Hour

func binlogKept(ctx context.Context, db *sql.DB, f mysqld.Flavor) (Finding, error) {
	finding := Finding{What: "how long the binlog is kept", Want: "a day or more", OK: true, Mend: "SET GLOBAL binlog_expire_logs_seconds = 259200; and put binlog_expire_logs_seconds=259200 into the server's configuration. Else a copy that stands still for longer, or whose Midflight does, is begun anew"}
	var seconds float64
	query := "SELECT /* midflight */ IF(@@GLOBAL.binlog_expire_logs_auto_purge, @@GLOBAL.binlog_expire_logs_seconds, 0)"
	if f.MariaDB || f.Version < 80029 {
		query = "SELECT /* midflight */ @@GLOBAL.binlog_expire_logs_seconds"
	}
	if err := db.QueryRowContext(ctx, query).Scan(&seconds); err != nil {
		return finding, fmt.Errorf("ask the server for how long it keeps its binlog: %w", err)
	}
	kept := time.Duration(seconds) * time.Second
	finding.Warn, finding.Found = kept > 0 && kept < leastKept, kept.String()
	if kept == 0 {
		finding.Found = "for ever"
	}
	return finding, nil
}

var clusters = map[mysqld.Cluster]Finding{
	mysqld.Galera: {What: "Galera", Found: "the server is a node of a cluster", Want: "a single primary", OK: true, Warn: true,
		Mend: "nothing does: what would need a copy, or builds an index, is refused there, but for small tables, which the server alters itself (docs/limits.md)"},
	mysqld.MultiPrimary: {What: "Group Replication", Found: "a group of several primaries", Want: "a single primary", OK: true, Warn: true,
		Mend: "SELECT group_replication_switch_to_single_primary_mode(). Else what would need a copy, or builds an index, is refused, but for small tables, which the server alters itself (docs/limits.md)"},
}

// binlogFilters: what a filter keeps out of the binlog would be lost in a copy.
func binlogFilters(ctx context.Context, db *sql.DB, f mysqld.Flavor) (Finding, error) {
	finding := Finding{What: "binlog filters", Found: "none", Want: "none", OK: true,
		Mend: "take binlog_do_db and binlog_ignore_db out of the server's configuration and restart it"}
	statement := "SHOW MASTER STATUS"
	if !f.MariaDB && f.Version >= 80200 {
		statement = "SHOW BINARY LOG STATUS"
	}
	rows, err := db.QueryContext(ctx, statement)
	if err != nil {
		return finding, fmt.Errorf("ask for the binlog's filters: %w", err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil || len(columns) < 4 || !rows.Next() {
		return finding, errors.Join(err, rows.Err()) // no binlog: another finding says so
	}
	values := make([]sql.NullString, len(columns))
	into := make([]any, len(columns))
	for i := range values {
		into[i] = &values[i]
	}
	if err := rows.Scan(into...); err != nil {
		return finding, fmt.Errorf("ask for the binlog's filters: %w", err)
	}
	var set []string
	for i, name := range []string{"binlog_do_db", "binlog_ignore_db"} {
		if v := values[2+i].String; v != "" {
			set = append(set, name+"="+v)
		}
	}
	if len(set) > 0 {
		finding.OK, finding.Found = false, strings.Join(set, " ")
	}
	return finding, nil
}

// metadataLocks: without the instrument nobody tells who holds a table.
func metadataLocks(ctx context.Context, db *sql.DB) (Finding, error) {
	f := Finding{What: "the instrument wait/lock/metadata/sql/mdl", Want: "YES",
		Mend: "UPDATE performance_schema.setup_instruments SET ENABLED = 'YES' WHERE NAME = 'wait/lock/metadata/sql/mdl'"}
	err := db.QueryRowContext(ctx, "SELECT /* midflight */ enabled FROM performance_schema.setup_instruments WHERE name = 'wait/lock/metadata/sql/mdl'").Scan(&f.Found)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		f.Found = "not there"
	case err != nil:
		return f, fmt.Errorf("ask for the instrument of metadata locks: %w", err)
	}
	f.OK = f.Found == "YES"
	return f, nil
}

func transactions(ctx context.Context, db *sql.DB) (Finding, error) {
	f := Finding{What: "transactions in performance_schema", Found: "shown", Want: "shown", Mend: mysqld.ShowTransactions}
	if err := db.QueryRowContext(ctx, mysqld.ShowsTransactions).Scan(&f.OK); err != nil {
		return f, fmt.Errorf("ask whether performance_schema shows transactions: %w", err)
	}
	if !f.OK {
		f.Found = "not shown"
	}
	return f, nil
}

// Privileges is what the account needs on *.*, for the tables that it copies and the
// binlog that it reads.
func Privileges(f mysqld.Flavor) []string {
	p := []string{"SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "DROP", "ALTER", "INDEX", "LOCK TABLES", "TRIGGER",
		"SHOW VIEW", "PROCESS", "REPLICATION SLAVE"}
	if f.MariaDB {
		return append(p, "BINLOG MONITOR", "CONNECTION ADMIN")
	}
	return append(p, "REPLICATION CLIENT", "XA_RECOVER_ADMIN", "SESSION_VARIABLES_ADMIN", "CONNECTION_ADMIN")
}

// ownPrivileges is what it needs on midflight.* alone, for its procedures.
var ownPrivileges = []string{"CREATE ROUTINE", "ALTER ROUTINE", "EXECUTE"}

// watching is what MariaDB wants of who lists its replicas, and asks them; on MySQL the
// binlog's reader may. A server without replicas needs none of it.
var watching = []string{"REPLICATION MASTER ADMIN", "SLAVE MONITOR"}

// needless are privileges on *.* by which statements of the account could do what no
// table's owner may: call his functions, read the server's files.
var needless = []string{"EXECUTE", "FILE", "SUPER"}

func privileges(ctx context.Context, db *sql.DB, f mysqld.Flavor) ([]Finding, error) {
	var account string
	if err := db.QueryRowContext(ctx, "SELECT /* midflight */ CURRENT_USER()").Scan(&account); err != nil {
		return nil, fmt.Errorf("ask who we are: %w", err)
	}
	user, host := account[:strings.LastIndexByte(account, '@')], account[strings.LastIndexByte(account, '@')+1:]
	// information_schema leaves a quote in a name as it is; GRANT doesn't take that.
	grantee, quoted := "'"+user+"'@'"+host+"'", mysqld.QuoteString(user)+"@"+mysqld.QuoteString(host)
	everywhere, err := granted(ctx, db, "SELECT /* midflight */ privilege_type FROM information_schema.user_privileges WHERE grantee = ?", grantee)
	if err != nil {
		return nil, err
	}
	own, err := granted(ctx, db, "SELECT /* midflight */ privilege_type FROM information_schema.schema_privileges WHERE table_schema = 'midflight' AND grantee = ?", grantee)
	if err != nil {
		return nil, err
	}
	findings := []Finding{
		needs("*.*", quoted, Privileges(f), everywhere),
		needs("midflight.*", quoted, ownPrivileges, append(own, everywhere...)),
	}
	if f.MariaDB {
		if watch := needs("*.*", quoted, watching, everywhere); !watch.OK {
			watch.What, watch.OK, watch.Warn = "the account's privileges to ask replicas, without which no rows are copied where there are some", true, true
			findings = append(findings, watch)
		}
	}
	if much := slices.DeleteFunc(slices.Clone(needless), func(p string) bool { return !slices.Contains(everywhere, p) }); len(much) > 0 {
		list := strings.Join(much, ", ")
		findings = append(findings, Finding{What: "privileges on *.* that are not needed", Found: list, Want: "none", OK: true, Warn: true,
			Mend: fmt.Sprintf("REVOKE %s ON *.* FROM %s", list, quoted)})
	}
	return findings, nil
}

func granted(ctx context.Context, db *sql.DB, query, grantee string) ([]string, error) {
	rows, err := db.QueryContext(ctx, query, grantee)
	if err != nil {
		return nil, fmt.Errorf("ask for the account's privileges: %w", err)
	}
	defer rows.Close()
	var have []string
	for rows.Next() {
		var p string
		if err := rows.Scan(&p); err != nil {
			return nil, err
		}
		have = append(have, strings.ToUpper(p))
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("ask for the account's privileges: %w", err)
	}
	return have, nil
}

func needs(on, account string, wanted, have []string) Finding {
	missing := slices.DeleteFunc(slices.Clone(wanted), func(p string) bool { return slices.Contains(have, p) })
	f := Finding{What: "the account's privileges on " + on, Found: "granted", Want: "granted", OK: len(missing) == 0}
	if !f.OK {
		f.Found = fmt.Sprintf("%d missing", len(missing))
		f.Mend = fmt.Sprintf("GRANT %s ON %s TO %s", strings.Join(missing, ", "), on, account)
	}
	return f
}
