package proxy

import (
	"context"
	"net"
	"sync"
	"testing"

	"midflight/internal/testmysql"
	"midflight/proxy/wire"
)

// listenWith serves one packet, or none, to each who connects.
func listenWith(t *testing.T, packet []byte) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			if packet != nil {
				writePacket(c, packet, 0)
			}
			c.Close()
		}
	}()
	return l.Addr().String()
}

func TestReasons(t *testing.T) {
	s := testmysql.Shared(t, testmysql.MySQL)
	s.Exec(t, "CREATE USER locked@'%' ACCOUNT LOCK", "CREATE USER nothing@'%'")
	t.Cleanup(func() { s.Exec(t, "DROP USER locked@'%', nothing@'%'") })
	for _, c := range []struct {
		name, server, user, db string
		want                   Reason
		number                 uint16 // what the client hears; 0: whatever
	}{
		{"nobody listens", "127.0.0.1:1", "root", "", ReasonServerUnreachable, 2003},
		{"the server is full", listenWith(t, wire.AppendErr(nil, &wire.Err{Number: 1040, Message: "Too many connections"})), "root", "", ReasonServerRefused, 1040},
		{"the server closes", listenWith(t, nil), "root", "", ReasonServerFailed, 2013},
		{"the server is none", listenWith(t, []byte("SSH-2.0")), "root", "", ReasonServerFailed, 0},
		{"no such user", s.Addr, "nobody", "", ReasonAuthFailed, 1045},
		{"a locked account", s.Addr, "locked", "", ReasonAuthFailed, 3118},
		{"no such database", s.Addr, "root", "nowhere", ReasonServerRefused, 1049},
		{"no right to the database", s.Addr, "nothing", "mysql", ReasonServerRefused, 1044},
	} {
		f := startFront(t, Config{Server: c.server})
		_, err := connect(t, f.addr, c.user, "", "false", c.db)
		if err == nil || c.number != 0 && number(err) != c.number {
			t.Errorf("%s: the client hears %v", c.name, err)
		}
		if e := <-f.failed; e.Reason != c.want || e.Blame != c.want.Blame() {
			t.Errorf("%s: %s, want %s: %v", c.name, e.Reason, c.want, e.Err)
		}
	}
}

// A handshake that a stop ends is nobody else's fault.
func TestShutdownInHandshake(t *testing.T) {
	s := testmysql.Shared(t, testmysql.MySQL)
	failed := make(chan HandshakeFailed, 1)
	srv := New(Config{Server: s.Addr, Observe: func(e Event) { failed <- e.(HandshakeFailed) }})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { srv.Serve(ctx, l) })
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	readPacket(c)
	cancel()
	wg.Wait()
	if e := <-failed; e.Reason != ReasonShutdown || e.Blame != BlameProxy {
		t.Errorf("%s, %s: %v", e.Reason, e.Blame, e.Err)
	}
}
