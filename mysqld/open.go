package mysqld

import (
	"context"
	"database/sql"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
)

// A Config says how Midflight itself connects to the server.
type Config struct {
	Addr     string // host:port, or the path of a unix socket
	User     string
	Password string
}

// Queryer is what *sql.DB, *sql.Conn and *sql.Tx have in common.
type Queryer interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// Silence is how long nothing may come by a connection of ours until the server ends it: it
// may not learn that our machine is gone, and keep everybody waiting for its locks.
const Silence = 20 * time.Second

// Open makes a pool of our own connections. Their session is ours alone: UTC,
// utf8mb4, and no setting of the application's. It does not connect yet.
//
// Connections that must keep a session (a copy worker's settings, the lock of a
// cut-over) are taken from it with Conn.
func Open(c Config) (*sql.DB, error) {
	d, err := c.driver()
	if err != nil {
		return nil, err
	}
	connector, err := mysql.NewConnector(d)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", c.Addr, err)
	}
	db := sql.OpenDB(connector)
	db.SetConnMaxIdleTime(10 * time.Second) // less than Silence
	db.SetMaxIdleConns(4)
	return db, nil
}

func (c Config) driver() (*mysql.Config, error) {
	d := mysql.NewConfig()
	d.User, d.Passwd = c.User, c.Password
	d.Net, d.Addr = "tcp", c.Addr
	if strings.HasPrefix(c.Addr, "/") {
		d.Net = "unix"
	} else if _, _, err := net.SplitHostPort(c.Addr); err != nil {
		return nil, fmt.Errorf("server address %q: want HOST:PORT or the path of a socket", c.Addr)
	}
	d.Timeout = 10 * time.Second
	if d.Net == "tcp" {
		d.DialFunc = (&net.Dialer{Timeout: d.Timeout, KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 5 * time.Second, Interval: 5 * time.Second, Count: 4}, Control: unacknowledged}).DialContext
	}
	d.Collation = "utf8mb4_general_ci"
	d.Loc = time.UTC
	d.ParseTime = true
	// Statements go as text with the values in them: one round trip, and the
	// server's log shows what was run. The session's character set is utf8mb4,
	// for which the driver's interpolation is exact.
	d.InterpolateParams = true
	d.TLSConfig = "preferred"
	d.AllowNativePasswords = true
	// Whatever it would print, bare, comes back as an error too; that the server has ended an
	// idle connection is no news.
	d.Logger = new(mysql.NopLogger)
	// What MySQL's information_schema tells of a table is kept for a day for
	// whoever asks next, unless the asker wants it fresh. (MariaDB, which does
	// not know the variable, skips comments of versions 5.7 to 9.99.)
	const fresh = " /*!80000 , information_schema_stats_expiry = 0 */"
	// A generated invisible primary key is a column like any other in row images.
	const whole = " /*!80030 , show_gipk_in_create_table_and_information_schema = 1 */"
	d.Params = map[string]string{"time_zone": "'+00:00'", "sql_mode": "''", "wait_timeout": fmt.Sprint(int(Silence.Seconds())), "autocommit": "1" + fresh + whole}
	return d, nil
}

// HostPort splits the address for libraries that want it in two; a socket's
// path is the host, with port 0.
func (c Config) HostPort() (string, uint16, error) {
	if strings.HasPrefix(c.Addr, "/") {
		return c.Addr, 0, nil
	}
	host, port, err := net.SplitHostPort(c.Addr)
	if err != nil {
		return "", 0, fmt.Errorf("server address %q: %w", c.Addr, err)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return "", 0, fmt.Errorf("server address %q: port: %w", c.Addr, err)
	}
	return host, uint16(n), nil
}
