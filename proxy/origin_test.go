package proxy

import (
	"context"
	"database/sql/driver"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"midflight/internal/testmysql"
	"midflight/proxy/proxyproto"
)

// whoAmI logs in behind a header, and asks the server who has come.
func whoAmI(t *testing.T, network, addr string, header []byte) (string, error) {
	t.Helper()
	cfg := mysql.NewConfig()
	cfg.Net, cfg.Addr, cfg.User = network, addr, "somebody"
	cfg.Timeout, cfg.ReadTimeout = 5*time.Second, 10*time.Second
	cfg.Logger = &mysql.NopLogger{}
	cfg.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
		var d net.Dialer
		c, err := d.DialContext(ctx, network, addr)
		if err == nil && header != nil {
			_, err = c.Write(header)
		}
		return c, err
	}
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		t.Fatal(err)
	}
	c, err := connector.Connect(t.Context())
	if err != nil {
		return "", err
	}
	defer c.Close()
	rows, err := c.(driver.QueryerContext).QueryContext(t.Context(), "SELECT USER()", nil)
	if err != nil {
		return "", err
	}
	defer rows.Close()
	v := make([]driver.Value, 1)
	if err := rows.Next(v); err != nil {
		return "", err
	}
	return fmt.Sprintf("%s", v[0]), nil
}

func header(t *testing.T, version int, source, dest string) []byte {
	t.Helper()
	addr := func(s string) net.Addr { return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(s)) }
	h := proxyproto.Header{Source: addr(source), Dest: addr(dest)}
	if version == 1 {
		return h.AppendV1(nil)
	}
	return h.AppendV2(nil)
}

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}

// The server sees the true client: through a header of ours, and through two
// Midflights, the second of which believes the first.
func TestProxyHeaderToServer(t *testing.T) {
	s := testmysql.Start(t, testmysql.MariaDB, "--proxy-protocol-networks=127.0.0.1,localhost")
	s.Exec(t, "CREATE USER somebody@'%'", "CREATE USER somebody@'localhost'")
	for _, version := range []ProxyHeader{ProxyHeaderV1, ProxyHeaderV2} {
		t.Run(string(version), func(t *testing.T) {
			inner := startFront(t, Config{Server: s.Addr, ServerProxyHeader: version, ProxyNetworks: loopback})
			outer := startFront(t, Config{Server: inner.addr, ServerProxyHeader: version, ProxyNetworks: loopback})
			direct := startFront(t, Config{Server: s.Addr, ServerProxyHeader: version})
			for _, c := range []struct {
				name, network, addr string
				header              []byte
				want                string
			}{
				{"in a header", "tcp", inner.addr, header(t, 1, "198.51.100.7:4711", "203.0.113.1:3306"), "somebody@198.51.100.7"},
				{"in a header of version 2", "tcp", inner.addr, header(t, 2, "198.51.100.7:4711", "203.0.113.1:3306"), "somebody@198.51.100.7"},
				{"IPv6", "tcp", inner.addr, header(t, 2, "[2001:db8::7]:4711", "[2001:db8::1]:3306"), "somebody@2001:db8::7"},
				{"one of each family", "tcp", inner.addr, header(t, 2, "[2001:db8::7]:4711", "203.0.113.1:3306"), "somebody@2001:db8::7"},
				{"LOCAL", "tcp", inner.addr, proxyproto.Header{}.AppendV2(nil), "somebody@localhost"},
				{"UNKNOWN", "tcp", inner.addr, proxyproto.Header{}.AppendV1(nil), "somebody@localhost"},
				{"through two", "tcp", outer.addr, header(t, 1, "198.51.100.8:4712", "203.0.113.1:3306"), "somebody@198.51.100.8"},
				{"on a socket, through two", "unix", outer.socket, nil, "somebody@localhost"},
				{"no header", "tcp", direct.addr, nil, "somebody@localhost"},
				{"on a socket", "unix", direct.socket, nil, "somebody@localhost"},
			} {
				got, err := whoAmI(t, c.network, c.addr, c.header)
				// With --skip-name-resolve 127.0.0.1 is no localhost, and LOCAL speaks
				// for ourselves.
				got = strings.Replace(got, "@127.0.0.1", "@localhost", 1)
				if err != nil || got != c.want {
					t.Errorf("%s: %s, %v, want %s", c.name, got, err, c.want)
				}
			}
		})
	}
}

func TestProxyHeaderFromClients(t *testing.T) {
	s := testmysql.Shared(t, testmysql.MySQL)
	s.Exec(t, "CREATE USER somebody@'%'")
	t.Cleanup(func() { s.Exec(t, "DROP USER somebody@'%'") })
	events := make(chan Event, 100)
	conf := Config{Server: s.Addr, ProxyNetworks: loopback, MaxUserConnections: 100, Observe: func(e Event) { events <- e }}
	_, addr := startProxy(t, conf)
	t.Run("the header's address is the client's", func(t *testing.T) {
		if _, err := whoAmI(t, "tcp", addr, header(t, 2, "198.51.100.7:4711", "203.0.113.1:3306")); err != nil {
			t.Fatal(err)
		}
		if e := (<-events).(SessionOpened); e.Client != "198.51.100.7:4711" {
			t.Errorf("opened by %s", e.Client)
		}
		if e := (<-events).(SessionClosed); e.Client != "198.51.100.7:4711" {
			t.Errorf("closed by %s", e.Client)
		}
	})
	t.Run("a failed login is the client's, too", func(t *testing.T) {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		c.Write(header(t, 1, "198.51.100.9:4711", "203.0.113.1:3306"))
		readPacket(c)
		c.Close()
		if e := (<-events).(HandshakeFailed); e.Client != "198.51.100.9:4711" || e.Reason != ReasonClientLeft {
			t.Errorf("%+v", e)
		}
	})
	for name, header := range map[string]string{
		"malformed": "PROXY TCP4 no address\r\n", "too long": "PROXY TCP4 " + strings.Repeat("1", 200), "none": "GET / HTTP/1.1\r\n\r\n", "cut": "PROXY",
	} {
		t.Run(name, func(t *testing.T) {
			c, err := net.Dial("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			c.SetDeadline(time.Now().Add(5 * time.Second))
			c.Write([]byte(header))
			c.(*net.TCPConn).CloseWrite()
			if e := (<-events).(HandshakeFailed); e.Reason != ReasonProxyProtocol || e.Blame != BlameClient {
				t.Errorf("%+v", e)
			}
		})
	}
	t.Run("from elsewhere it is nonsense", func(t *testing.T) {
		conf.ProxyNetworks = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
		_, addr := startProxy(t, conf)
		for version := range 2 {
			if got, err := whoAmI(t, "tcp", addr, header(t, version+1, "198.51.100.7:4711", "203.0.113.1:3306")); err == nil {
				t.Errorf("it is believed: %s", got)
			}
			if e := (<-events).(HandshakeFailed); e.Reason != ReasonMalformed {
				t.Errorf("%+v", e)
			}
		}
	})
}
