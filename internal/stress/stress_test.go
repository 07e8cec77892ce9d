package stress

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"midflight/internal/testmysql"
	"midflight/proxy/wire"
)

// Many sessions cost a few KiB each and no goroutine, come at once, and leave nothing.
func TestManyConnections(t *testing.T) {
	x := newSite(t, testmysql.MySQL)
	n := sized(300, 2000)
	x.forgetPeak()
	began := time.Now()
	all := make([]*client, n)
	var wg sync.WaitGroup
	for i := range all {
		wg.Go(func() {
			c, err := x.login(plain)
			if err != nil {
				t.Errorf("login %d: %v", i, err)
				return
			}
			all[i] = c
		})
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	t.Logf("%d logins in %v", n, time.Since(began))
	for round := range 5 {
		began := time.Now()
		for i, c := range all {
			wg.Go(func() {
				want := fmt.Sprintf("%d of %d", round, i)
				if got, err := c.try("SELECT '" + want + "'"); err != nil || got != want {
					t.Errorf("session %d: %q, %v", i, got, err)
				}
			})
		}
		wg.Wait()
		t.Logf("%d statements at once in %v", n, time.Since(began))
	}
	now := x.state()
	t.Logf("with all of them: %v", now)
	if now.sessions != n || now.goroutines > x.rest.goroutines+20 {
		t.Errorf("%v, at rest %v", now, x.rest)
	}
	x.grown(n*32 + 24<<10) // 24 MiB for 128 handshakes, and the garbage of all
	for _, c := range all {
		c.Close()
	}
	x.awaitRest()
}

// Clients that stop reading in the midst of a long result cost two buffers each, and
// what isn't read stays with the server; when they go on they get all of it.
func TestClientsStopReading(t *testing.T) {
	x := newSite(t, testmysql.MySQL)
	size := sized(64, 1024) // MiB
	// Noise, so that compression doesn't make it short.
	noise := make([]byte, 1<<20)
	for r, i := rand.New(rand.NewPCG(3, 4)), 0; i < len(noise); i++ {
		noise[i] = byte(r.Uint32())
	}
	db := x.s.NewDatabase(t)
	x.s.Exec(t, "USE "+db, "CREATE TABLE n (i INT PRIMARY KEY)", "CREATE TABLE b (b LONGBLOB)", "SET SESSION cte_max_recursion_depth = 20000",
		fmt.Sprintf("INSERT INTO b VALUES (x'%x')", noise),
		"INSERT INTO n WITH RECURSIVE c AS (SELECT 0 AS i UNION ALL SELECT i + 1 FROM c WHERE i < 16383) SELECT i FROM c")
	type result struct {
		query       string
		rows, bytes int
	}
	long := min(size/2, 128)
	results := []result{
		{fmt.Sprintf("SELECT LEFT(b, 65536) FROM %s.n, %[1]s.b LIMIT %d", db, size*16), size * 16, size << 20},
		{fmt.Sprintf("SELECT REPEAT(b, %d) FROM %s.n, %[2]s.b LIMIT 2", long, db), 2, long << 21}, // spliced
	}
	type reader struct {
		*client
		result
	}
	var all []*reader
	total := 0
	for _, l := range []link{plain, overTLS, compressed} {
		for _, result := range results {
			for range 2 {
				r := &reader{x.dial(l), result}
				if err := r.begin(result.query); err != nil {
					t.Fatal(err)
				}
				all = append(all, r)
				total += r.bytes
			}
		}
	}
	x.forgetPeak()
	// All is full up to the server, which can't go on.
	last, still := 0, 0
	x.await("all of them to stand", func() bool {
		busy := 0
		for _, s := range x.users() {
			if strings.Contains(s, "Sending to client") {
				busy++
			}
		}
		now := x.state()
		if still++; busy < len(all) || now.bytes != last {
			still = 0
		}
		last = now.bytes
		return still == 10
	})
	t.Logf("%d MiB of %d have come from the server", last>>20, total>>20)
	if last > total/2 {
		t.Errorf("they have not stopped in the midst of it")
	}
	bystanders := x.bystanders()
	for _, b := range bystanders {
		x.await("a bystander's statements", func() bool { return b.n.Load() > 100 })
	}
	x.grown(len(all)*256 + 8<<10)
	x.unharmed(bystanders, 3*time.Second)
	// One of each goes on, the other leaves.
	for i, r := range all {
		if i%2 == 1 {
			r.Close()
		}
	}
	for _, r := range all {
		r.SetDeadline(time.Now().Add(5 * patience))
	}
	for i := 0; i < len(all); i += 2 {
		r, n, bytes := all[i], 0, 0
		err := r.each(func(p []byte) { n++; bytes += len(p) })
		if err != nil || n != r.rows || bytes < r.result.bytes {
			t.Errorf("reader %d: %d rows of %d, %d bytes: %v", i, n, r.rows, bytes, err)
		}
		if got := r.client.query("SELECT 'and'"); got != "and" {
			t.Errorf("reader %d afterwards: %q", i, got)
		}
		r.Close()
	}
	x.grown(len(all)*256 + 8<<10)
	x.awaitRest()
}

// A packet of 256 MB passes byte for byte, in both directions, and is never held whole.
func TestHugePackets(t *testing.T) {
	x := newSite(t, testmysql.MySQL)
	size := sized(20<<20, 256<<20)
	text := make([]byte, size)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range text {
		text[i] = 'a' + byte(r.Uint32()%26)
	}
	want := sha256.Sum256(text)
	for _, l := range []link{plain, overTLS, compressed} {
		t.Run(string(l), func(t *testing.T) {
			c := x.dial(l)
			defer c.Close()
			c.SetDeadline(time.Now().Add(3 * patience))
			x.forgetPeak()
			began := time.Now()
			sent := make(chan error, 1)
			go func() { sent <- c.begin("SELECT '" + string(text) + "' AS x") }()
			var got [sha256.Size]byte
			n := 0
			if err := c.each(func(p []byte) {
				_, size := wire.Lenenc(p)
				got, n = sha256.Sum256(p[size:]), len(p)-size
			}); err != nil {
				t.Fatal(err)
			}
			if err := <-sent; err != nil {
				t.Fatal(err)
			}
			if got != want {
				t.Errorf("%d bytes came back, of %d, and other ones", n, size)
			}
			t.Logf("%d MiB there and back in %v", size>>20, time.Since(began))
			now := x.state()
			t.Logf("%d KiB more than at rest at the most", now.peak-x.rest.rss)
			if grown := now.peak - x.rest.rss; grown > 16<<10 {
				t.Errorf("%d KiB more than at rest", grown)
			}
		})
	}
	// Beside a schema change the answer passes through the interception's hands.
	t.Run("intercepted", func(t *testing.T) {
		db := x.s.NewDatabase(t)
		x.s.Exec(t, "CREATE TABLE "+db+".t (i INT PRIMARY KEY)")
		c := x.dial(plain)
		defer c.Close()
		c.SetDeadline(time.Now().Add(3 * patience))
		x.forgetPeak()
		if err := c.begin(fmt.Sprintf("SELECT REPEAT('x', %d); ALTER TABLE %s.t COMMENT 'x'; SELECT 2", size, db)); err != nil {
			t.Fatal(err)
		}
		var lengths []int
		if err := c.each(func(p []byte) { lengths = append(lengths, len(p)) }); err != nil {
			t.Fatal(err)
		}
		if len(lengths) != 2 || lengths[0] < size || lengths[1] != 2 {
			t.Errorf("rows of %d bytes", lengths)
		}
		if now := x.state(); now.peak-x.rest.rss > 16<<10 {
			t.Errorf("%d KiB more than at rest", now.peak-x.rest.rss)
		}
	})
	x.awaitRest()
}

// Whatever strangers send, and users who have logged in, the others don't notice.
func TestGarbage(t *testing.T) {
	for _, f := range []testmysql.Flavor{testmysql.MySQL, testmysql.MariaDB} {
		t.Run(string(f), func(t *testing.T) {
			x := newSite(t, f)
			n := sized(200, 2000)
			x.forgetPeak()
			bystanders := x.bystanders()
			var wg sync.WaitGroup
			for worker := range 8 {
				wg.Go(func() {
					r := rand.New(rand.NewPCG(uint64(worker), 7))
					for range n / 8 {
						x.garble(r)
					}
				})
			}
			wg.Wait()
			x.unharmed(bystanders, 3*time.Second)
			x.grown(48 << 10)
			x.awaitRest()
		})
	}
}

// garble is one client that sends garbage, and reads whatever comes until it is left.
func (x *site) garble(r *rand.Rand) {
	noise := make([]byte, 1+r.IntN(1<<(1+r.IntN(18))))
	for i := range noise {
		noise[i] = byte(r.Uint32())
	}
	var conn net.Conn
	switch r.IntN(3) {
	case 0: // who doesn't even look
		c, err := x.connect()
		if err != nil {
			x.Errorf("connect: %v", err)
			return
		}
		conn = c
		switch r.IntN(3) {
		case 0:
			noise = []byte("GET / HTTP/1.1\r\nHost: db\r\n\r\n")
		case 1: // a packet that promises much
			noise[0] = 0xff
		}
	case 1: // packets that look like ones
		c, err := x.login(plain)
		if err != nil {
			x.Errorf("login: %v", err)
			return
		}
		conn = c
		var b []byte
		for len(noise) > 0 {
			k := min(len(noise), 1+r.IntN(300))
			b, _ = wire.AppendPacket(b, noise[:k], 0)
			noise = noise[k:]
		}
		noise = b
	default:
		c, err := x.login([]link{plain, compressed}[r.IntN(2)])
		if err != nil {
			x.Errorf("login: %v", err)
			return
		}
		conn = c.Conn
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(300 * time.Millisecond)) // the server may wait for the rest of a packet
	go conn.Write(noise)
	io.Copy(io.Discard, conn)
}

// Clients that never log in, and send a byte now and then, have an end, are few at a
// time, and keep nobody from logging in.
func TestSlowLoris(t *testing.T) {
	t.Parallel()
	const places = 64
	x := ownSite(t, testmysql.MySQL, "--max-handshakes", fmt.Sprint(places))
	n := sized(150, 1000)
	bystanders := x.bystanders()
	x.forgetPeak()
	began := time.Now()
	told := make(chan uint16, n)
	for i := range n {
		c, err := x.connect()
		if err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
		go func() {
			defer c.Close()
			hello := make(chan bool)
			go func() {
				<-hello
				tick := time.NewTicker(100 * time.Millisecond)
				defer tick.Stop()
				for _, b := range append([]byte{200, 0, 0, 1}, make([]byte, 190)...) {
					if _, err := c.Write([]byte{b}); err != nil {
						return
					}
					<-tick.C
				}
			}()
			s := &client{Conn: c, x: x, in: c}
			s.packet()
			close(hello)
			_, err := s.packet()
			told <- number(err)
		}()
	}
	logins, slowest, most := 0, time.Duration(0), 0
	numbers := map[uint16]int{}
	for left := n; left > 0; {
		at := time.Now()
		c, err := x.login(plain)
		if err != nil {
			t.Fatalf("login %d: %v", logins, err)
		}
		c.query("SELECT 1")
		c.Close()
		logins++
		slowest = max(slowest, time.Since(at))
		strangers := 0
		for _, u := range x.users() {
			if strings.HasPrefix(u, "unauthenticated") {
				strangers++
			}
		}
		most = max(most, strangers)
		for more := true; more; {
			select {
			case k := <-told:
				numbers[k]++
				left--
			default:
				more = false
			}
		}
	}
	t.Logf("%d slow clients are gone after %v, and were told %v; %d others have logged in meanwhile, the slowest in %v; the server has seen %d strangers at a time",
		n, time.Since(began), numbers, logins, slowest, most)
	if numbers[1040]+numbers[1159] != n || numbers[1159] == 0 || numbers[1040] == 0 {
		t.Errorf("they were told %v", numbers)
	}
	// (One more may just have been shown out, for each that comes.)
	if most > places+8 {
		t.Errorf("the server has seen %d strangers at a time", most)
	}
	if bound := time.Duration(5+3*n/places) * time.Second; slowest > bound {
		t.Errorf("the slowest login took %v, want %v at most", slowest, bound)
	}
	x.unharmed(bystanders, 3*time.Second)
	x.grown(32 << 10)
	x.awaitRest()
}

// The server is killed, ends in order, or stands still: new clients are told so,
// sessions end, nothing is left of them, and all works again when the server does.
func TestServerGone(t *testing.T) {
	t.Parallel()
	for _, f := range []testmysql.Flavor{testmysql.MySQL, testmysql.MariaDB} {
		t.Run(string(f), func(t *testing.T) {
			t.Parallel()
			x := ownSite(t, f)
			n := sized(40, 500)
			for _, how := range []struct {
				name string
				do   func()
			}{
				{"killed", func() { x.s.Kill9(t) }},
				{"ended", func() {
					if err := x.s.Stop(t.Context()); err != nil {
						t.Fatal(err)
					}
				}},
			} {
				var all []*client
				for i := range n {
					l := plain
					if f == testmysql.MySQL && i%4 == 1 {
						l = overTLS
					} else if i%4 == 2 {
						l = compressed
					}
					c := x.dial(l)
					all = append(all, c)
					switch i % 3 {
					case 0:
						c.query("BEGIN")
					case 1:
						c.begin("SELECT SLEEP(1000)")
					}
				}
				x.await("statements to run", func() bool { return len(x.users()) == n })
				how.do()
				ends := map[string]int{}
				for i, c := range all {
					_, err := c.packet()
					switch {
					case errors.Is(err, os.ErrDeadlineExceeded):
						t.Errorf("%s: session %d is still there", how.name, i)
					case err == nil:
						ends["answered"]++ // SLEEP() is interrupted
					case number(err) > 0:
						ends[fmt.Sprint(number(err))]++ // the server's last words
					case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET):
						ends["closed"]++
					default:
						ends[fmt.Sprint(err)]++
					}
				}
				t.Logf("%s: %v", how.name, ends)
				for range 3 {
					if _, err := x.login(plain); number(err) != 2003 {
						t.Errorf("%s: a new client hears %v", how.name, err)
					}
				}
				x.await("all to be gone", func() bool {
					now := x.state()
					return now.sessions == 0 && now.goroutines <= x.rest.goroutines+8 && now.descriptors <= x.rest.descriptors+8
				})
				x.s.StartAgain(t)
				if got := x.dial(plain).query("SELECT 'again'"); got != "again" {
					t.Errorf("%s: %q", how.name, got)
				}
			}
			x.standStill()
		})
	}
}

// standStill: the server is stopped, so that connections to it open and nobody answers.
func (x *site) standStill() {
	c := x.dial(plain)
	defer c.Close()
	if err := syscall.Kill(x.s.Pid(), syscall.SIGSTOP); err != nil {
		x.Fatal(err)
	}
	var wg sync.WaitGroup
	c.begin("SELECT 'late'")
	for range 20 {
		wg.Go(func() {
			c, err := x.login(plain)
			if err != nil {
				x.Errorf("who waited for the server: %v", err)
				return
			}
			defer c.Close()
			if got, err := c.try("SELECT 'late, too'"); err != nil || got != "late, too" {
				x.Errorf("%q, %v", got, err)
			}
		})
	}
	x.await("all to be connected", func() bool { return x.state().descriptors >= x.rest.descriptors+40 })
	if err := syscall.Kill(x.s.Pid(), syscall.SIGCONT); err != nil {
		x.Fatal(err)
	}
	wg.Wait()
	var late string
	if err := c.each(func(p []byte) { late = string(p[1:]) }); err != nil || late != "late" {
		x.Errorf("%q, %v", late, err)
	}
	c.Close()
}
