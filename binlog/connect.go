package binlog

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"github.com/go-mysql-org/go-mysql/client"
	"github.com/go-mysql-org/go-mysql/mysql"

	"midflight/mysqld"
)

const handshake = 10 * time.Second

// connect logs in, with TLS where the server has it, unless it is on this machine:
// there it would cost more than all the rest of reading a binlog.
func connect(ctx context.Context, c mysqld.Config) (*client.Conn, error) {
	if strings.HasPrefix(c.Addr, "/") {
		return logIn(ctx, c)
	}
	var answered *mysql.MyError
	if loopback(c.Addr) {
		conn, err := logIn(ctx, c)
		switch {
		case err == nil && onThisMachine(ctx, conn):
			return conn, nil
		case err == nil:
			cut(conn)
		case !errors.As(err, &answered) && !errors.Is(err, errNoKey):
			return nil, err
		}
		// The server, or the account, may ask for TLS.
	}
	conn, err := logIn(ctx, c, func(c *client.Conn) error { c.UseSSL(true); return nil })
	if err != nil && !errors.As(err, &answered) && ctx.Err() == nil {
		// The library doesn't tell a server without TLS from other failures.
		return logIn(ctx, c)
	}
	return conn, err
}

// loopback: an address of this machine alone. A name that leads there is not
// looked up.
func loopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	ip := net.ParseIP(host)
	return err == nil && (host == "localhost" || ip != nil && ip.IsLoopback())
}

// onThisMachine: what listens on a loopback address may be the near end of a way to
// another machine.
func onThisMachine(ctx context.Context, conn *client.Conn) bool {
	defer context.AfterFunc(ctx, func() { cut(conn) })()
	if conn.SetDeadline(time.Now().Add(handshake)) != nil {
		return false
	}
	r, err := conn.Execute("SELECT /* midflight */ @@GLOBAL.hostname")
	if err != nil {
		return false
	}
	theirs, err := r.GetString(0, 0)
	ours, osErr := os.Hostname()
	return err == nil && osErr == nil && theirs == ours && conn.SetDeadline(time.Time{}) == nil
}

var errNoKey = errors.New("log in without TLS")

func logIn(ctx context.Context, c mysqld.Config, options ...client.Option) (conn *client.Conn, err error) {
	var raw net.Conn
	stop := func() bool { return true }
	// The library ends the program where a server has no key to encrypt the password by.
	defer func() {
		if r := recover(); r != nil {
			if stop(); raw != nil {
				raw.Close()
			}
			conn, err = nil, fmt.Errorf("%w: %v", errNoKey, r)
		}
	}()
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		d := net.Dialer{Timeout: handshake}
		var err error
		if raw, err = d.DialContext(ctx, network, address); err != nil {
			return nil, err
		}
		stop = context.AfterFunc(ctx, func() { raw.Close() })
		return raw, raw.SetDeadline(time.Now().Add(handshake))
	}
	conn, err = client.ConnectWithDialer(ctx, "", c.Addr, c.User, c.Password, "", dial, options...)
	stop()
	if err != nil {
		return nil, err
	}
	return conn, raw.SetDeadline(time.Time{})
}

// cut closes a connection that another goroutine may be reading from; the
// library's Close is not for that.
func cut(conn *client.Conn) { conn.Conn.Conn.Close() }
