package deployment

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"midflight/internal/testmidflight"
	"midflight/internal/testmysql"
)

// A real Prometheus with our configuration and our alerts scrapes the real program, by its
// token, and sees a migration come and go.
func TestPrometheus(t *testing.T) {
	server := testmysql.Shared(t, testmysql.MySQL)
	db := server.NewDatabase(t)
	server.Exec(t, "USE "+db, "CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, v VARCHAR(20))", "INSERT INTO t (v) VALUES ('a'), ('b'), ('c')")
	token := filepath.Join(t.TempDir(), "token")
	write(t, token, []byte("a token of the test's\n"))
	m := testmidflight.Start(t, server, "--http-token-file", token, "--drain", "1m")
	p := startPrometheus(t, m.HTTP, token)

	p.await(`up{job="midflight"} == 1`, 1)
	p.await(`midflight_ready == 1 and on (instance) midflight_build_info{version!=""}`, 1)
	p.await(`midflight_migration_phase`, 0)
	answer := make(chan error, 1)
	through := m.DB(t, db)
	alter := func(change string) {
		go func() {
			_, err := through.Exec("ALTER TABLE /* midflight: strategy=copy, cutover=manual */ t " + change)
			answer <- err
		}()
	}
	alter("ADD COLUMN w INT")
	p.await(`midflight_migration_phase{phase="ready"} == 1`, 1)
	p.await(`midflight_migration_waiting == 1`, 1)
	p.await(`midflight_migration_rows_copied == 3`, 1)
	p.await(`midflight_migration_binlog_connected == 1`, 1)
	p.await(`midflight_migration_binlog_lag_seconds < 5`, 1)
	p.await(`midflight_rows_compared_total >= 3 and midflight_ranges_compared_total >= 1 and midflight_rows_copied_total == 3`, 1)
	page := p.get("http://"+m.HTTP+"/metrics", "a token of the test's")
	promtool(t, page, "check", "metrics")
	if bytes.Contains(page, []byte(db)) || bytes.Contains(page, []byte("ADD COLUMN")) {
		t.Error("the name of the schema, or the statement, is in the series")
	}

	var id string
	if err := server.DB(t).QueryRow("SELECT id FROM midflight.migrations WHERE schema_name = ?", db).Scan(&id); err != nil {
		t.Fatal(err)
	}
	p.await(`midflight_migration_phase{migration="`+id+`",phase="ready"} == 1`, 1)
	server.Exec(t, "CALL midflight.cutover("+id+")")
	if err := <-answer; err != nil {
		t.Error(err)
	}
	p.await(`midflight_migrations_ended_total{phase="completed"} == 1`, 1)
	p.await(`{__name__=~"midflight_migration_.*"}`, 0)

	var rules struct {
		Data struct {
			Groups []struct {
				Rules []struct{ Name, Health, LastError string }
			}
		}
	}
	if err := json.Unmarshal(p.get(p.address+"/api/v1/rules", ""), &rules); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, g := range rules.Data.Groups {
		for _, r := range g.Rules {
			if n++; r.Health == "err" {
				t.Errorf("%s: %s", r.Name, r.LastError)
			}
		}
	}
	if n < 10 {
		t.Errorf("Prometheus has %d rules of ours", n)
	}

	// One that is left to another Midflight has no series here any more, though this one
	// drains for as long as a transaction is open.
	open, err := through.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	if _, err := open.ExecContext(t.Context(), "BEGIN"); err != nil {
		t.Fatal(err)
	}
	alter("ADD COLUMN x INT")
	p.await(`midflight_migration_phase{phase="ready"} == 1`, 1)
	m.Signal(syscall.SIGTERM)
	p.await(`midflight_ready == 0 and midflight_migrations_left_total == 1 and on (instance) sum by (instance) (midflight_migrations) == 0`, 1)
	p.await(`{__name__=~"midflight_migration_.*"}`, 0)
	if err := <-answer; err == nil {
		t.Error("the client of a migration that was left was told that it is done")
	}
	if _, err := open.ExecContext(t.Context(), "COMMIT"); err != nil {
		t.Error(err)
	}
	<-m.Done()
	p.await(`up{job="midflight"} == 0`, 1)
}

type prometheus struct {
	t       *testing.T
	address string
	log     *bytes.Buffer
	ended   chan struct{}
}

// startPrometheus runs it with deploy/prometheus, but for the address, the token's file
// and the intervals.
func startPrometheus(t *testing.T, target, token string) *prometheus {
	t.Helper()
	dir := t.TempDir()
	config := string(read(t, "prometheus", "prometheus.yml"))
	for theirs, ours := range map[string]string{"midflight:9307": target, "/run/secrets/http_token": token, ": 15s": ": 200ms"} {
		if !strings.Contains(config, theirs) {
			t.Fatalf("prometheus.yml has no %s any more", theirs)
		}
		config = strings.ReplaceAll(config, theirs, ours)
	}
	write(t, filepath.Join(dir, "prometheus.yml"), []byte(config))
	write(t, filepath.Join(dir, "alerts.yml"), read(t, "prometheus", "alerts.yml"))
	promtool(t, nil, "check", "config", filepath.Join(dir, "prometheus.yml"))

	free, err := net.Listen("tcp", "127.0.0.1:0") // it doesn't say which port it has got by itself
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	free.Close()
	p := &prometheus{t, "http://" + address, new(bytes.Buffer), make(chan struct{})}
	cmd := exec.Command(tool(t, "prometheus", "MIDFLIGHT_PROMETHEUS"), "--config.file="+filepath.Join(dir, "prometheus.yml"),
		"--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+address)
	cmd.Stdout, cmd.Stderr = p.log, p.log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started := make(chan error)
	go func() { // Pdeathsig is sent when this thread ends (go.dev/issue/27505)
		runtime.LockOSThread()
		defer close(p.ended)
		err := cmd.Start()
		started <- err
		if err == nil {
			cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		<-p.ended
		if t.Failed() {
			t.Logf("Prometheus' log:\n%s", p.log)
		}
	})
	p.poll("Prometheus is ready", func() bool {
		r, err := http.Get(p.address + "/-/ready")
		if err != nil {
			return false
		}
		r.Body.Close()
		return r.StatusCode == http.StatusOK
	})
	return p
}

// await waits until a query has so many series.
func (p *prometheus) await(query string, series int) {
	p.t.Helper()
	var last []byte
	defer func() {
		if p.t.Failed() {
			p.t.Logf("the last answer: %s", last)
		}
	}()
	p.poll(fmt.Sprintf("%s has %d series", query, series), func() bool {
		last = p.get(p.address+"/api/v1/query?query="+url.QueryEscape(query), "")
		var answer struct {
			Data struct{ Result []any }
		}
		if err := json.Unmarshal(last, &answer); err != nil {
			p.t.Fatalf("%s: %v", last, err)
		}
		return len(answer.Data.Result) == series
	})
}

// poll asks until it is so: Prometheus tells nobody when it has scraped.
func (p *prometheus) poll(what string, is func() bool) {
	p.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !is(); {
		select {
		case <-p.ended:
			p.t.Fatalf("Prometheus has ended before: %s", what)
		case <-time.After(50 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("waited 30 s in vain: %s", what)
		}
	}
}

func (p *prometheus) get(url, token string) []byte {
	t := p.t
	t.Helper()
	r, err := http.NewRequest("GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s %v\n%s", url, answer.Status, err, b)
	}
	return b
}
