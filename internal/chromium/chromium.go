// Package chromium drives a Chromium without a window, for the tests of the page. It speaks
// the browser's own protocol over a pipe (docs/decisions/0025): what a test needs of it is a
// dozen commands.
package chromium

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// A Browser is a running Chromium.
type Browser struct{ pipe *pipe }

// errNotFound: there is none on this machine.
var errNotFound = errors.New("no Chromium found; scripts/chromium gets one")

func find() (string, error) {
	if path := os.Getenv("MIDFLIGHT_CHROMIUM"); path != "" {
		return path, nil
	}
	cache := os.Getenv("MIDFLIGHT_CACHE")
	if dir, err := os.UserCacheDir(); cache == "" && err == nil {
		cache = filepath.Join(dir, "midflight")
	}
	path := filepath.Join(cache, "chromium", "bin", "chromium")
	if _, err := os.Stat(path); err != nil {
		return "", errNotFound
	}
	return path, nil
}

// Start runs one until the test ends. Without one the test is skipped, but in CI it fails.
func Start(t testing.TB) *Browser {
	t.Helper()
	path, err := find()
	if err != nil {
		if os.Getenv("CI") != "true" && os.Getenv("MIDFLIGHT_REQUIRE_SERVERS") != "1" {
			t.Skipf("NOT TESTED in a browser: %v", err)
		}
		t.Fatal(err)
	}
	// It shows only pages of ours, and a container may forbid what its sandbox is made of.
	cmd := exec.Command(path, "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
		"--disable-background-networking", "--hide-scrollbars", "--force-color-profile=srgb", "--user-data-dir="+t.TempDir())
	cmd.Dir = t.TempDir() // its fontconfig keeps a cache where it was started
	p, err := open(cmd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.call("", "Browser.close", nil, nil)
		ended := time.AfterFunc(10*time.Second, func() { cmd.Process.Kill() })
		defer ended.Stop()
		cmd.Wait()
		p.close()
	})
	return &Browser{p}
}

// Open shows a page of a width and height.
func (b *Browser) Open(t testing.TB, url string, width, height int) *Tab {
	t.Helper()
	tab := &Tab{t: t, pipe: b.pipe}
	var target struct{ TargetID string }
	tab.must(b.pipe.call("", "Target.createTarget", map[string]any{"url": "about:blank"}, &target))
	var session struct{ SessionID string }
	tab.must(b.pipe.call("", "Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &session))
	tab.session = session.SessionID
	tab.do("Page.enable", nil, nil)
	tab.do("Runtime.enable", nil, nil)
	tab.do("Log.enable", nil, nil)
	tab.Resize(width, height)
	tab.Go(url)
	return tab
}

func (t *Tab) must(err error) {
	t.t.Helper()
	if err != nil {
		t.t.Fatal(fmt.Errorf("drive the browser: %w", err))
	}
}
