package soak

import (
	"context"
	"errors"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	_ "github.com/go-sql-driver/mysql"

	"midflight/internal/localserver"
)

// eachSite runs f in front of a server of each flavor that is there.
func eachSite(t *testing.T, f func(t *testing.T, s *Site)) {
	if testing.Short() {
		t.Skip("takes minutes")
	}
	dir := t.TempDir()
	program := filepath.Join(dir, "midflight")
	if out, err := exec.Command("go", "build", "-o", program, "midflight/cmd/midflight").CombinedOutput(); err != nil {
		t.Fatalf("build midflight: %v\n%s", err, out)
	}
	for _, flavor := range localserver.Flavors {
		t.Run(string(flavor), func(t *testing.T) {
			s, err := Start(context.Background(), flavor, program, "../../deploy", dir)
			if errors.Is(err, localserver.ErrNotFound) {
				t.Skipf("NOT TESTED on a real server: %v", err)
			}
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			}()
			f(t, s)
		})
	}
}

// TestSeeds runs the first seeds, two at a time, until its share of the time is
// over. make soak goes on from there.
func TestSeeds(t *testing.T) {
	const share = 20 * time.Second // of each flavor
	eachSite(t, func(t *testing.T, s *Site) {
		var tally Tally
		var next atomic.Uint64
		var wait sync.WaitGroup
		until := time.Now().Add(share)
		for range 2 {
			wait.Add(1)
			go func() {
				defer wait.Done()
				for time.Now().Before(until) && !t.Failed() {
					c := Draw(next.Add(1), s.Flavor)
					o, err := s.Run(context.Background(), c)
					if err != nil {
						t.Errorf("seed %d: %v", c.Seed, err)
						continue
					}
					tally.Add(c, o)
					if len(o.Findings) > 0 {
						t.Errorf("seed %d:\n%s\n%s\n%s", c.Seed, strings.Join(o.Findings, "\n"), c.Script(), strings.Join(o.History, "\n"))
					}
				}
			}()
		}
		wait.Wait()
		tally.Print(t.Output(), string(s.Flavor))
	})
}
