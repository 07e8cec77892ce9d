package proxy

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"midflight/internal/testmysql"
)

// Clients that don't log in leave for those who do, one for each and the slowest first,
// and the server hears of nothing that it would count against us.
func TestSlowLoris(t *testing.T) {
	for _, flavor := range []testmysql.Flavor{testmysql.MySQL, testmysql.MariaDB} {
		t.Run(string(flavor), func(t *testing.T) {
			s := startCounting(t, flavor)
			f := startFront(t, Config{Server: s.outer, MaxHandshakes: 4, TLS: testCertificate(t), ServerTLSMode: TLSOff})
			silent := func(say func(c net.Conn)) net.Conn {
				c, err := net.Dial("tcp", f.addr)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { c.Close() })
				c.SetDeadline(time.Now().Add(30 * time.Second))
				say(c)
				// Who came first must have been waited for for the longest time.
				await(t, func() bool { return allAwaited(f.srv.lobby) })
				return c
			}
			greeted := func(c net.Conn) { readPacket(c) }
			var slow []net.Conn
			for _, say := range []func(c net.Conn){
				greeted,
				func(c net.Conn) { greeted(c); c.Write([]byte{200, 0, 0, 1, 1, 2, 3}) }, // half a packet
				func(c net.Conn) { // in the midst of the plugins' conversation
					greeted(c)
					writePacket(c, response(0, "app", "other_plugin", nil), 1)
					readPacket(c)
				},
				func(c net.Conn) { dialSSL(t, c) }, // TLS, and no ClientHello
			} {
				slow = append(slow, silent(say))
			}
			for i, c := range slow {
				began := time.Now()
				mustConnect(t, f.addr, "app", "", "false")
				t.Logf("logged in after %v", time.Since(began))
				if e := <-f.failed; e.Reason != ReasonLimit || !errors.Is(e.Err, errEvicted) {
					t.Errorf("%d: %s, %v", i, e.Reason, e.Err)
				}
				p, _, err := readPacket(c)
				if told := bytes.HasPrefix(p, []byte("\xff\x10\x04#08004Too many")); told != (i < 3) {
					t.Errorf("%d: %q, %v", i, p, err)
				}
				if n := len(f.failed); n > 0 {
					t.Errorf("%d: %d more have left", i, n)
				}
				silent(greeted) // instead of it
			}
			if n := s.errors(t); n > 0 {
				t.Errorf("the server has counted %d errors", n)
			}
		})
	}
}

// allAwaited tells whether each client in the lobby is waited for.
func allAwaited(l *lobby) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !slices.ContainsFunc(l.guests, func(g *guest) bool { return g.since.IsZero() })
}

// A client that doesn't go on is told so in MySQL's words, whatever it has said.
func TestTimeoutIsTold(t *testing.T) {
	for name, c := range map[string]struct {
		greeted bool
		err     error
		want    string
	}{
		"greeted":            {true, os.ErrDeadlineExceeded, "\xff\x87\x04#08S01Got timeout"},
		"shown out":          {true, errEvicted, "\xff\x10\x04#08004Too many"},
		"not greeted so far": {false, errEvicted, "\xff\x10\x04Too many"},
	} {
		client, ours := net.Pipe()
		h := &handshake{client: endpoint{Conn: ours, bound: time.Second}}
		if c.greeted {
			h.server.Conn = ours
		}
		go h.explain(failed(ReasonTimeout, "read", c.err))
		if p, _, err := readPacket(client); err != nil || !bytes.HasPrefix(p, []byte(c.want)) {
			t.Errorf("%s: %q, %v", name, p, err)
		}
		client.Close()
	}
}

// lobbyOf is a lobby with clients in it.
func lobbyOf(ctx context.Context, places int) (*lobby, []*guest) {
	l := newLobby(places)
	var in []*guest
	for range places {
		_, ours := net.Pipe()
		in = append(in, l.enter(ctx, ours))
	}
	return l, in
}

// Those who wait for the server are not shown out, however long that takes.
func TestLobbyWaitsForTheServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, in := lobbyOf(t.Context(), 3)
		entered := make(chan *guest)
		go func() { entered <- l.enter(t.Context(), nil) }()
		time.Sleep(time.Hour)
		synctest.Wait()
		for _, g := range in {
			if g.evicted {
				t.Error("shown out")
			}
		}
		in[1].leave()
		in[1].leave() // again does nothing
		(<-entered).leave()
		if len(l.guests) != 2 {
			t.Errorf("%d are left", len(l.guests))
		}
	})
}

// The one leaves that was waited for longest, all its packets together.
func TestLobbyShowsTheSlowestOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, in := lobbyOf(t.Context(), 3)
		until := time.Now().Add(time.Hour)
		in[0].await(in[0].client, until)
		time.Sleep(600 * time.Millisecond)
		in[0].heard(nil)
		in[2].await(in[2].client, until)
		time.Sleep(500 * time.Millisecond)
		in[0].await(in[0].client, until)
		began := time.Now()
		entered := make(chan *guest)
		go func() { _, ours := net.Pipe(); entered <- l.enter(t.Context(), ours) }()
		synctest.Wait()
		if _, err := in[0].client.Read(make([]byte, 1)); in[0].heard(err) != errEvicted {
			t.Errorf("%v", err)
		}
		if d := time.Since(began); d != 400*time.Millisecond {
			t.Errorf("shown out after %v", d)
		}
		if err := in[0].await(in[0].client, until); err != errEvicted {
			t.Errorf("waited for again: %v", err)
		}
		in[0].leave()
		g := <-entered
		if in[1].evicted || in[2].evicted {
			t.Error("one more than needed")
		}
		// Who has logged in after 1.5 s makes others be waited for longer, too.
		g.await(g.client, until)
		time.Sleep(1500 * time.Millisecond)
		g.heard(nil)
		if waited := in[2].waited(time.Now()); waited < 2*time.Second {
			t.Errorf("%v", waited)
		}
		g.loggedIn()
		l.places = 2
		go func() { entered <- l.enter(t.Context(), nil) }()
		synctest.Wait()
		if _, err := in[2].client.Read(make([]byte, 1)); in[2].heard(err) != errEvicted {
			t.Errorf("%v", err)
		}
		if d := in[2].spent; d != 6*time.Second {
			t.Errorf("shown out after %v", d)
		}
		in[2].leave()
		<-entered
		ctx, cancel := context.WithCancel(t.Context())
		go func() { entered <- l.enter(ctx, nil) }()
		cancel()
		if g := <-entered; g != nil {
			t.Error("entered after the end")
		}
	})
}
