package proxy

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"

	"midflight/internal/testmysql"
	"midflight/proxy/wire"
)

// pings is n COM_PINGs, and pongs the length of their answers.
func pings(n int) []byte { return bytes.Repeat([]byte{1, 0, 0, 0, wire.ComPing}, n) }

func pongs(n int) int64 { return 11 * int64(n) }

// A client that says 200 000 things before it hears the first answer costs no more
// memory than another one, and sessions beside it don't wait.
func TestFloodOfCommands(t *testing.T) {
	each(t, func(t *testing.T, s *testmysql.Server) {
		_, addr := startProxy(t, Config{Server: s.Addr})
		flood := dialRaw(t, addr, "", 0)
		others := []*rawConn{dialRaw(t, addr, "", 0), dialRaw(t, addr, "", 0), dialRaw(t, addr, "", 0)} // one at least on its loop
		flood.SetDeadline(time.Now().Add(time.Minute))
		const n = 200_000
		said := pings(n)
		others[0].query("DO 0") // what is set aside for samples, once for all sessions
		runtime.GC()
		var before, during runtime.MemStats
		runtime.ReadMemStats(&before)
		sent := make(chan error, 1)
		go func() {
			_, err := flood.Write(said)
			sent <- err
		}()
		for range 20 {
			for _, c := range others {
				c.SetDeadline(time.Now().Add(5 * time.Second)) // 2 minutes without the bound
				c.query("DO SLEEP(0.005)")
			}
		}
		runtime.GC()
		runtime.ReadMemStats(&during)
		if got, err := io.CopyN(io.Discard, flood, pongs(n)); err != nil {
			t.Errorf("%d bytes of answers, want %d: %v", got, pongs(n), err)
		}
		if err := <-sent; err != nil {
			t.Error(err)
		}
		grown := (int64(during.HeapAlloc) - int64(before.HeapAlloc)) >> 10
		if grown > 2<<10 {
			t.Errorf("the heap has grown by %d KiB", grown)
		}
		t.Logf("the heap has grown by %d KiB", grown)
	})
}

// Commands that share a compressed packet can't be kept back, so there is an end to
// them: 16 MB of them take 20 KB to send and 160 MB to remember. (Servers answer the
// first of them only.)
func TestFloodInOnePacket(t *testing.T) {
	testmysql.Each(t, func(t *testing.T, s *testmysql.Server) {
		closed := make(chan SessionClosed, 1)
		_, addr := startProxy(t, Config{Server: s.Addr, Observe: func(e Event) {
			if e, ok := e.(SessionClosed); ok {
				closed <- e
			}
		}})
		c := dialRaw(t, addr, "", wire.ClientCompress)
		packet, _ := wire.AppendStored(nil, pings(2*maxTogether), 0)
		go c.Write(packet)
		if e := <-closed; e.Blame != BlameClient || e.Err == nil || !strings.Contains(e.Err.Error(), "too many commands") {
			t.Errorf("%s, %v", e.Blame, e.Err)
		}
	})
}

// Rows pass an interception as they are, however long: in pieces, and in frames that
// end where the server's do. Two of them are brought together and passed on behind one
// another.
func TestInterceptLongRows(t *testing.T) {
	each(t, func(t *testing.T, s *testmysql.Server) {
		local(t, s)
		_, addr := intercepting(t, s, func(ctx context.Context, c *Conn, q Query) error {
			_, err := c.RelayAs(ctx, q.Text, false)
			return err
		})
		direct, through := dialRaw(t, s.Addr, "", 0), dialRaw(t, addr, "", 0)
		direct.SetDeadline(time.Now().Add(time.Minute))
		through.SetDeadline(time.Now().Add(time.Minute))
		for _, n := range []int{longRow, longRow + 1, wire.MaxFrame - 1, wire.MaxFrame, 2 * wire.MaxFrame} {
			sql := fmt.Sprintf("SELECT 'short' UNION ALL SELECT REPEAT('z', %d) UNION ALL SELECT 'ALTER' UNION ALL SELECT REPEAT('y', %d)",
				n-len(wire.AppendLenenc(nil, uint64(n-4))), n-9)
			if got, want := through.query(sql), direct.query(sql); got != want {
				for i, line := range strings.Split(got, "\n") {
					if w := strings.Split(want, "\n"); i >= len(w) || line != w[i] {
						t.Errorf("%d: got\n%s\nwant\n%s", n, line, w[min(i, len(w)-1)])
					}
				}
			}
		}
	})
}

// A statement that is brought together takes the memory of what has come of it, and not
// of what its header promises.
func TestPromisesCostNothing(t *testing.T) {
	each(t, func(t *testing.T, s *testmysql.Server) {
		_, addr := intercepting(t, s, func(ctx context.Context, c *Conn, q Query) error {
			return c.ReplyOK(wire.OK{Affected: uint64(len(q.Text))}, false)
		})
		const n = 32
		long := wire.AppendQuery(nil, "ALTER "+strings.Repeat("x", maxCandidate-100), wire.Session{})
		packet, _ := wire.AppendPacket(nil, long, 0)
		var all []*rawConn
		var before, during runtime.MemStats
		for range n {
			all = append(all, dialRaw(t, addr, "", 0))
		}
		runtime.GC()
		runtime.ReadMemStats(&before)
		const part = 100 << 10
		for _, c := range all {
			c.Write(packet[:part])
		}
		await(t, func() bool { // it is all read
			runtime.GC()
			runtime.ReadMemStats(&during)
			return during.HeapAlloc > before.HeapAlloc+n*part
		})
		if grown := (int64(during.HeapAlloc) - int64(before.HeapAlloc)) >> 10; grown > n*part*3>>10 {
			t.Errorf("%d clients that have promised 16 MB and sent %d KiB take %d KiB", n, part>>10, grown)
		}
		if _, err := all[0].Write(packet[part:]); err != nil {
			t.Fatal(err)
		}
		want := string(wire.AppendLenenc(nil, uint64(len(long)-1)))
		if got := all[0].read(); !strings.HasPrefix(string(got), "\x00"+want) {
			t.Errorf("%q, want a length of %q", got, want)
		}
		all[0].query("DO 1")
	})
}
