package proxy

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"midflight/internal/testmysql"
	"midflight/proxy/wire"
)

// firstPacket is what comes before the client has said anything.
func firstPacket(t *testing.T, addr string) ([]byte, byte) {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(5 * time.Second))
	p, seq, err := readPacket(c)
	if err != nil {
		t.Fatal(err)
	}
	return p, seq
}

// A client too many hears what a full server says, byte by byte, and the server
// hears nothing.
func TestMaxConnections(t *testing.T) {
	testmysql.Each(t, func(t *testing.T, shared *testmysql.Server) {
		s := testmysql.Start(t, shared.Flavor, "--max-connections=10")
		var all []*sql.Conn
		for {
			c, err := connect(t, s.Addr, "root", "", "false")
			if err != nil {
				break
			}
			all = append(all, c)
		}
		want, wantSeq := firstPacket(t, s.Addr)
		for _, c := range all {
			c.Close()
		}
		if number := uint16(want[1]) | uint16(want[2])<<8; number != 1040 {
			t.Fatalf("the server says %q", want)
		}
		f := startFront(t, Config{Server: shared.Addr, MaxConnections: 2})
		first := dialRaw(t, f.addr, "", 0)
		second, err := net.Dial("tcp", f.addr) // in the handshake counts, too
		if err != nil {
			t.Fatal(err)
		}
		defer second.Close()
		readPacket(second)
		got, seq := firstPacket(t, f.addr)
		if !bytes.Equal(got, want) || seq != wantSeq {
			t.Errorf("%d %q, a server says %d %q", seq, got, wantSeq, want)
		}
		if e := <-f.failed; e.Reason != ReasonLimit || e.Blame != BlameProxy {
			t.Errorf("%s, %s", e.Reason, e.Blame)
		}
		first.do("\x01")
		await(t, func() bool { return len(f.srv.all()) == 1 })
		dialRaw(t, f.addr, "", 0)
	})
}

func TestMaxUserConnections(t *testing.T) {
	testmysql.Each(t, func(t *testing.T, s *testmysql.Server) {
		s.Exec(t, "CREATE USER few@'%'", "CREATE USER few_direct@'%' WITH MAX_USER_CONNECTIONS 1", "CREATE USER others@'%'")
		t.Cleanup(func() { s.Exec(t, "DROP USER few@'%', few_direct@'%', others@'%'") })
		f := startFront(t, Config{Server: s.Addr, TLS: testCertificate(t), MaxUserConnections: 3})
		for _, driverTLS := range []string{"false", "skip-verify"} {
			if s.Flavor == testmysql.MariaDB && driverTLS != "false" {
				continue // the shared one has no TLS
			}
			var wg sync.WaitGroup
			var mu sync.Mutex
			var in []*sql.Conn
			refused := map[uint16]int{}
			for range 20 {
				wg.Go(func() {
					c, err := connect(t, f.addr, "few", "", driverTLS)
					mu.Lock()
					defer mu.Unlock()
					if err != nil {
						refused[number(err)]++
						if want := "Error 1203 (42000): User few already has more than 'max_user_connections' active connections"; err.Error() != want {
							t.Errorf("%v, want %s", err, want)
						}
						return
					}
					in = append(in, c)
				})
			}
			wg.Wait()
			if len(in) != 3 || refused[1203] != 17 {
				t.Errorf("%d are in, refused are %v", len(in), refused)
			}
			for range 17 {
				if e := <-f.failed; e.Reason != ReasonLimit {
					t.Errorf("%s: %v", e.Reason, e.Err)
				}
			}
			mustConnect(t, f.addr, "others", "", driverTLS)
			for _, c := range in {
				c.Raw(func(d any) error { d.(interface{ Close() error }).Close(); return nil })
			}
			await(t, func() bool { return f.srv.userCount("few") == 0 })
		}
		// A failed login is not counted for long.
		for range 5 {
			connect(t, f.addr, "few", "wrong", "false")
		}
		await(t, func() bool { return f.srv.userCount("few") == 0 })
		mustConnect(t, f.addr, "few", "", "false")
		one := mustConnect(t, s.Addr, "few_direct", "", "false")
		defer one.Close()
		_, err := connect(t, s.Addr, "few_direct", "", "false")
		t.Log("the server itself:", err)
	})
}

func (s *Server) userCount(user string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.users[user]
}

// A client that sends a byte now and then does not keep its place.
func TestSlowClientIsLeft(t *testing.T) {
	client, ours := net.Pipe()
	defer client.Close()
	e := &endpoint{Conn: ours, bound: time.Hour, until: time.Now().Add(50 * time.Millisecond)}
	go client.Write([]byte{1, 0})
	_, err := e.read()
	var he *handshakeError
	if err := clientFailed("read", err); !errors.As(err, &he) || he.reason != ReasonTimeout {
		t.Errorf("%v", err)
	}
}

// A packet before the login is bounded, whatever its header says.
func TestLongPacketBeforeLogin(t *testing.T) {
	s := testmysql.Shared(t, testmysql.MySQL)
	f := startFront(t, Config{Server: s.Addr})
	c, err := net.Dial("tcp", f.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(5 * time.Second))
	readPacket(c)
	c.Write([]byte{0xff, 0xff, 0xff, 1})
	if p, _, err := readPacket(c); err != nil || !bytes.Contains(p, []byte("max_allowed_packet")) {
		t.Errorf("%q, %v", p, err)
	}
	if e := <-f.failed; e.Reason != ReasonMalformed {
		t.Errorf("%s: %v", e.Reason, e.Err)
	}
}

// What a server answers to a client that speaks something else.
func TestNonsenseIsAnsweredAlike(t *testing.T) {
	testmysql.Each(t, func(t *testing.T, s *testmysql.Server) {
		f := startFront(t, Config{Server: s.Addr})
		full := response(0, "nobody", "", nil)
		say := func(addr string, p []byte, seq byte) string {
			c, err := net.Dial("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			c.SetDeadline(time.Now().Add(5 * time.Second))
			readPacket(c)
			writePacket(c, p, seq)
			p, seq, err = readPacket(c)
			if err != nil {
				return err.Error()
			}
			if p[0] == 0xfe {
				p = p[:10] // then comes a salt
			}
			return fmt.Sprintf("%d %q", seq, p)
		}
		attrs := response(wire.ClientConnectAttrs, "nobody", wire.NativePassword, nil)
		for name, c := range map[string]struct {
			p   []byte
			seq byte
		}{
			"empty": {nil, 1}, "one byte": {[]byte{1}, 1}, "31 bytes": {full[:31], 1}, "no user": {full[:32], 1}, "half a user": {full[:35], 1},
			"a wrong number": {full, 3}, "number 255": {full, 255},
			"attributes cut":     {append(attrs[:len(attrs):len(attrs)], 9, 1, 'a'), 1},
			"attributes strange": {append(attrs[:len(attrs):len(attrs)], 4, 200, 'a', 0, 0), 1},
			"a long password":    {append(full[:39:39], 200, 1, 2, 3), 1},
		} {
			direct, through := say(s.Addr, c.p, c.seq), say(f.addr, c.p, c.seq)
			if direct != through {
				t.Errorf("%s: %s, directly %s", name, through, direct)
			}
		}
	})
}

func TestNonsenseForAPasswordIsAnsweredAlike(t *testing.T) {
	for _, flavor := range []testmysql.Flavor{testmysql.MySQL, testmysql.MariaDB} {
		s := startCounting(t, flavor)
		f := startFront(t, Config{Server: s.outer})
		for _, user := range []string{"secret", "app", "ed", "s256"} {
			for _, length := range []int{0, 1, 8, 20, 21, 32, 64, 300} {
				say := func(addr string) string {
					c, err := net.Dial("tcp", addr)
					if err != nil {
						t.Fatal(err)
					}
					defer c.Close()
					c.SetDeadline(time.Now().Add(5 * time.Second))
					readPacket(c)
					writePacket(c, response(0, user, "other_plugin", nil), 1)
					_, seq, _ := readPacket(c)
					writePacket(c, bytes.Repeat([]byte{7}, length), seq+1)
					p, seq, err := readPacket(c)
					if err != nil {
						return err.Error()
					}
					return fmt.Sprintf("%d %q", seq, p)
				}
				direct := say(s.outer)
				s.do(t, "TRUNCATE performance_schema.host_cache")
				if through := say(f.addr); direct != through {
					t.Errorf("%s, %s, %d bytes: %s, directly %s", flavor, user, length, through, direct)
				}
			}
		}
	}
}
