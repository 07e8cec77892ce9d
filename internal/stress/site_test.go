package stress

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"midflight/internal/testmidflight"
	"midflight/internal/testmysql"
)

// sized is small in CI, and large with STRESS=all.
func sized(small, large int) int {
	if os.Getenv("STRESS") == "all" {
		return large
	}
	return small
}

// A site is a server with Midflight in front of it.
type site struct {
	*testing.T
	s    *testmysql.Server
	m    *testmidflight.Midflight
	rest state // when nobody is connected
}

// state is what a process has.
type state struct {
	sessions, goroutines, descriptors int
	bytes                             int // from the server
	rss, peak                         int // KiB
}

func (s state) String() string {
	return fmt.Sprintf("%d sessions, %d goroutines, %d descriptors, %d MiB, %d at the most", s.sessions, s.goroutines, s.descriptors, s.rss>>10, s.peak>>10)
}

// newSite is on the server that the tests share, own on one of this test's.
func newSite(t *testing.T, f testmysql.Flavor, args ...string) *site {
	t.Helper()
	return onServer(t, testmysql.Shared(t, f), args...)
}

func ownSite(t *testing.T, f testmysql.Flavor, args ...string) *site {
	t.Helper()
	return onServer(t, testmysql.Start(t, f, "--max-connections=3000", "--connect-timeout=60"), args...)
}

func onServer(t *testing.T, s *testmysql.Server, args ...string) *site {
	t.Helper()
	s.Exec(t, "SET GLOBAL max_connections = 3000", "SET GLOBAL max_allowed_packet = 1024 * 1024 * 1024", "SET GLOBAL connect_timeout = 60",
		// (No SHUTDOWN: a random byte may be COM_SHUTDOWN, which MariaDB has.)
		"CREATE USER IF NOT EXISTS app@'%'", "GRANT SELECT, INSERT, CREATE, ALTER, DROP ON *.* TO app@'%'")
	if s.Flavor == testmysql.MySQL { // the server's own certificate, for both sides
		args = append(args, "--tls-cert", filepath.Join(s.Datadir, "server-cert.pem"), "--tls-key", filepath.Join(s.Datadir, "server-key.pem"))
	}
	x := &site{T: t, s: s, m: testmidflight.Start(t, s, args...)}
	x.warm()
	x.rest = x.state()
	t.Logf("at rest: %v", x.rest)
	return x
}

// warm has what is made once be made before it is measured, and the program's pages of
// each kind of connection be read: they count as its memory, and are some megabytes.
func (x *site) warm() {
	x.Helper()
	for _, l := range []link{plain, compressed, overTLS} {
		if l == overTLS && x.s.Flavor == testmysql.MariaDB {
			continue
		}
		c := x.dial(l)
		for range 100 {
			c.query("SELECT 1")
		}
		c.query("SELECT REPEAT('long', 100000)")
		c.Close()
	}
	for range 200 { // being asked, too, leaves some megabytes of garbage
		x.state()
	}
	x.await("no session", func() bool { return x.state().sessions == 0 })
}

var series = regexp.MustCompile(`(?m)^(midflight_sessions|midflight_bytes_total{from="server"}|go_goroutines|process_open_fds) (\S+)$`)

// state reads the program's own metrics, and what the system says of its memory.
func (x *site) state() (now state) {
	x.Helper()
	r, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Get("http://" + x.m.HTTP + "/metrics")
	if err != nil {
		x.Fatal(err)
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil {
		x.Fatal(err)
	}
	found := series.FindAllSubmatch(text, -1)
	if len(found) != 4 {
		x.Fatalf("the metrics lack some of %v:\n%s", series, text)
	}
	for _, f := range found {
		n, err := strconv.ParseFloat(string(f[2]), 64)
		if err != nil {
			x.Fatal(err)
		}
		switch string(f[1]) {
		case "midflight_sessions":
			now.sessions = int(n)
		case "go_goroutines":
			now.goroutines = int(n)
		case `midflight_bytes_total{from="server"}`:
			now.bytes = int(n)
		default:
			now.descriptors = int(n)
		}
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", x.m.Pid()))
	if err != nil {
		x.Fatal(err)
	}
	for line := range bytes.Lines(status) {
		fmt.Sscanf(string(line), "VmRSS: %d kB", &now.rss)
		fmt.Sscanf(string(line), "VmHWM: %d kB", &now.peak)
	}
	return now
}

// forgetPeak begins to look for the most memory anew.
func (x *site) forgetPeak() {
	x.Helper()
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", x.m.Pid()), []byte("5"), 0o200); err != nil {
		x.Fatal(err)
	}
}

// grown fails if the program has had so many KiB more than at rest at any time since
// forgetPeak.
func (x *site) grown(bound int) {
	x.Helper()
	now := x.state()
	x.Logf("memory: %d KiB more than at rest at the most, bound %d", now.peak-x.rest.rss, bound)
	if now.peak-x.rest.rss > bound {
		x.Errorf("%v, at rest %v", now, x.rest)
	}
}

// await polls for a fact that nobody tells.
func (x *site) await(what string, fact func() bool) {
	x.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(30 * time.Second); !fact(); <-tick.C {
		if time.Now().After(end) {
			x.Fatalf("waited in vain for %s: %v, at rest %v", what, x.state(), x.rest)
		}
	}
}

// awaitRest waits until nothing is left of all that was, neither here nor on the server.
func (x *site) awaitRest() {
	x.Helper()
	x.await("what was at rest", func() bool {
		now := x.state()
		// (Midflight's own connections to the server come and go.)
		return now.sessions == 0 && now.goroutines <= x.rest.goroutines+8 && now.descriptors <= x.rest.descriptors+8
	})
	x.await("the server to be rid of them", func() bool { return len(x.users()) == 0 })
	x.Logf("at last: %v", x.state())
}

// users are the states of the server's connections that are clients'.
func (x *site) users() (states []string) {
	x.Helper()
	rows, err := x.s.DB(x).Query("SELECT user, COALESCE(state, ''), COALESCE(info, '') FROM information_schema.processlist WHERE user IN ('app', 'unauthenticated user')")
	if err != nil {
		x.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var user, state, info string
		if err := rows.Scan(&user, &state, &info); err != nil {
			x.Fatal(err)
		}
		states = append(states, user+": "+state)
	}
	return states
}

// A bystander is a client that does its work beside the others, and must not feel them.
type bystander struct {
	x     *site
	stop  chan struct{}
	done  sync.WaitGroup
	n     atomic.Int64
	worst time.Duration
}

// bystanders begin. The longest that one of their statements may take is given to end.
func (x *site) bystanders() []*bystander {
	var all []*bystander
	for _, l := range []link{plain, plain, overTLS} {
		if l == overTLS && x.s.Flavor == testmysql.MariaDB {
			continue
		}
		b := &bystander{x: x, stop: make(chan struct{})}
		c := x.dial(l)
		b.done.Go(func() {
			defer c.Close()
			for {
				select {
				case <-b.stop:
					return
				default:
				}
				n := b.n.Add(1)
				want := strings.Repeat(fmt.Sprintf("<%d>", n), 1+int(n%500))
				began := time.Now()
				got, err := c.try("SELECT '" + want + "'")
				if err != nil || got != want {
					x.Errorf("a bystander's statement %d: %.40q, %v", n, got, err)
					return
				}
				b.worst = max(b.worst, time.Since(began))
			}
		})
		all = append(all, b)
	}
	return all
}

func (x *site) unharmed(all []*bystander, bound time.Duration) {
	x.Helper()
	for _, b := range all {
		close(b.stop)
		b.done.Wait()
		x.Logf("a bystander: %d statements, the slowest took %v", b.n.Load(), b.worst)
		if b.worst > bound {
			x.Errorf("a bystander's statement took %v, want %v at most", b.worst, bound)
		}
	}
}
