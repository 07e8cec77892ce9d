package oracle

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"

	"midflight/internal/cutter"
	"midflight/internal/testmysql"
	"midflight/internal/twins"
)

// A packets counts the packets of Midflight's own connections, in both directions, from the
// record of a migration on, whatever they are: logins, statements, answers, chores, the
// binlog. It cuts the connection at one of them.
type packets struct {
	at int // from 1; 0: nothing is cut

	mu    sync.Mutex // guards what follows
	begun bool
	count int
	what  string // that packet
}

func (p *packets) cut(c cutter.Packet) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c.Client {
		return false
	}
	p.begun = p.begun || strings.Contains(c.Text, "INSERT /* midflight */ INTO midflight.migrations")
	if !p.begun {
		return false
	}
	if p.count++; p.count != p.at {
		return false
	}
	if p.what = "an answer"; !c.Answer {
		p.what = fmt.Sprintf("%.90q", c.Text)
	}
	return true
}

// end tells what was cut, if something was, and how many packets there were.
func (p *packets) end() (what string, count int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.at = 0
	return p.what, p.count
}

// TestPacketsAreCut cuts a connection at the n-th packet of a migration, for one n after the
// other until a migration is done before its turn comes. The client is told each time that
// all is done. Some n are left out if KILLS=all doesn't ask for each; KILLS=20 tries twenty.
func TestPacketsAreCut(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a while")
	}
	t.Parallel() // most of it is waiting
	testmysql.Each(t, func(t *testing.T, server *testmysql.Server) {
		t.Parallel()
		s, r := cutSite(t, server)
		few := os.Getenv("KILLS") == ""
		one := rand.IntN(len(crashCases))
		for i, c := range crashCases {
			if few && i != one {
				continue
			}
			try := func(t *testing.T, at int) (what string, count int) {
				x := s.try(t, c)
				p := &packets{at: at}
				r.CutAt(p.cut)
				err := x.send(t)
				what, count = p.end()
				r.CutAt(nil)
				if err != nil {
					t.Errorf("cut at %s: the client was told: %v", what, err)
				}
				x.writers.end(t)
				x.judge(t, err == nil)
				t.Logf("packet %d of %d: %s", at, count, what)
				if t.Failed() {
					twins.History(t, x.root, x.on[0].Schema)
				}
				return what, count
			}
			_, n := try(t, 0)
			for at, by := stride(n); ; at += by {
				cut := ""
				t.Run(fmt.Sprintf("%s %d", c.of(server.Flavor).name, at), func(t *testing.T) { cut, _ = try(t, at) })
				if cut == "" || few {
					break
				}
			}
		}
	})
}

// stride is where a sweep of about n steps begins, and how far apart what it tries is.
func stride(n int) (from, by int) {
	tries := 1
	if k, err := strconv.Atoi(os.Getenv("KILLS")); err == nil {
		tries = k
	} else if os.Getenv("KILLS") == "all" {
		return 1, 1
	}
	by = max(1, n/max(1, tries))
	return 1 + rand.IntN(by), by
}
