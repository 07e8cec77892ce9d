package replication

import (
	"context"
	"database/sql"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"midflight/check"
	"midflight/internal/testmidflight"
	"midflight/internal/testmysql"
	"midflight/mysqld"
	"midflight/signals"
	"midflight/throttle"
)

// TestGalera is of a cluster of two nodes, of which Midflight knows the source. Both have
// shop.t. (AUTO_INCREMENT would leave numbers out.)
func TestGalera(t *testing.T) {
	if testing.Short() {
		t.Skip("starts two servers")
	}
	nodes := testmysql.StartCluster(t, 2)
	top := &topology{source: nodes[0], root: nodes[0].DB(t), replicas: nodes[1:]}
	top.source.Exec(t, "CREATE DATABASE shop", "USE shop", "CREATE TABLE t (id INT NOT NULL PRIMARY KEY, v INT NOT NULL)",
		"INSERT INTO t SELECT seq, 1 FROM seq_1_to_12000")
	top.level(t)
	t.Run("is not copied", func(t *testing.T) { top.isNotCopied(t, "a node of a Galera cluster", "Galera") })
	t.Run("locks one node", top.locksOneNode)
	t.Run("flow control", top.flowControl)
}

// decided is the number of the error with which a statement is answered by a strategy.
type decided struct {
	statement, strategy string
	number              uint16
}

// isNotCopied: what would need a copy, or builds something, is refused at once;
// what the server does in a moment, it does. Nobody's writes stop for it, on any node, and
// none is lost.
func (top *topology) isNotCopied(t *testing.T, why, finding string, more ...decided) {
	top.source.Exec(t, "CREATE TABLE shop.small (id INT NOT NULL PRIMARY KEY, v INT)", "INSERT INTO shop.small VALUES (1, 1)")
	m := top.midflight(t)
	writers := []*acknowledged{
		write(t, m.DB(t, "shop"), 1),
		write(t, top.source.DB(t), 101),
		write(t, top.replicas[0].DB(t), 201),
	}
	for _, c := range append(more, []decided{
		{"ALTER TABLE t MODIFY v BIGINT NOT NULL", "auto", mysqld.ErrAlterNotSupported2},
		{"ALTER TABLE t ADD COLUMN x INT", "copy", mysqld.ErrAlterNotSupported2},
		{"ALTER TABLE t ADD INDEX by_v (v)", "inplace", mysqld.ErrAlterNotSupported2},
		{"ALTER TABLE t ADD COLUMN x INT", "auto", 0},
		{"ALTER TABLE t ADD INDEX by_v (v)", "direct", 0},
		{"ALTER TABLE small MODIFY v BIGINT", "auto", 0},
		{"ALTER TABLE small MODIFY v INT", "copy", mysqld.ErrAlterNotSupported2},
	}...) {
		err := alterNow(t, m, c.strategy, c.statement)
		if mysqld.Number(err) != c.number || c.number == 0 && err != nil {
			t.Fatalf("%s by %s: %v", c.statement, c.strategy, err)
		}
		for _, w := range writers {
			before := w.count()
			await(t, "the writers to go on", func() bool { return w.count() > before })
		}
	}
	program, err := testmidflight.Binary()
	if err != nil {
		t.Fatal(err)
	}
	if out, _ := exec.Command(program, "plan", "--server", top.source.Addr, "--user", "root", "ALTER TABLE shop.t MODIFY v BIGINT NOT NULL").CombinedOutput(); !strings.Contains(string(out), why) {
		t.Errorf("midflight plan doesn't say so: %s", out)
	}
	for _, w := range writers {
		w.stop(t)
	}
	top.level(t)
	if top.source.Flavor == testmysql.MySQL {
		together(t, append(top.replicas, top.source)...)
	}
	for _, node := range []*sql.DB{top.root, top.replicas[0].DB(t)} {
		for _, w := range writers {
			w.compare(t, node)
		}
	}
	if got, want := sum(t, top.replicas[0].DB(t)), sum(t, top.root); got != want {
		t.Errorf("the nodes have %s and %s", want, got)
	}

	m.Stop() // what it writes by one node alone would not be on the other
	if finding == "Galera" {
		top.source.Exec(t, "SET GLOBAL wsrep_on = OFF") // the others' changes come all the same
		defer top.source.Exec(t, "SET GLOBAL wsrep_on = ON")
	}
	_, found, err := check.Server(t.Context(), top.source.DB(t), mysqld.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(found, func(f check.Finding) bool { return f.What == finding && f.OK && f.Warn }) {
		t.Errorf("midflight check doesn't say so: %v", found)
	}
}

// TestGaleraIsFounded: the server was none of a cluster's when the copy began, and is when the
// tables would be swapped. A swap would hang there, and with it the cluster.
func TestGaleraIsFounded(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a server")
	}
	top := &topology{source: testmysql.Start(t, testmysql.MariaDB)}
	top.root = top.source.DB(t)
	top.fill(t, 1000)
	m := top.midflight(t)
	alter(t, m, ", @midflight_cutover = 'manual'")
	top.awaitPhase(t, "ready")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := top.source.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	top.source.FoundCluster(t)
	top.source.Exec(t, "CALL midflight.cutover((SELECT MAX(id) FROM midflight.migrations))")
	top.awaitPhase(t, "failed")
	if why := top.latest(t, "error"); !strings.Contains(why, "Galera") {
		t.Errorf("it failed by %s", why)
	}
	top.source.Exec(t, "INSERT INTO shop.t (v) VALUES (1)")
}

// lockedOnOne has a table and its shadow locked on the source, and a row of the table
// acknowledged since on another node, which must not be kept from that.
func (top *topology) lockedOnOne(t *testing.T) (lock *sql.Conn, other *sql.DB) {
	t.Helper()
	top.source.Exec(t, "CREATE TABLE shop.l (id INT NOT NULL PRIMARY KEY, v INT NOT NULL)", "CREATE TABLE shop.s LIKE shop.l", "INSERT INTO shop.l VALUES (1, 1)", "INSERT INTO shop.s VALUES (1, 1)")
	top.level(t)
	lock, err := top.root.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { lock.Close() })
	if _, err := lock.ExecContext(t.Context(), "LOCK TABLES shop.l WRITE, shop.s WRITE"); err != nil {
		t.Fatal(err)
	}
	other = top.replicas[0].DB(t)
	if _, err := other.ExecContext(t.Context(), "UPDATE shop.l SET v = 2"); err != nil {
		t.Fatalf("the lock keeps out who is on another node, too: a swap might be possible (docs/decisions/0030-galera.md, 0031-group-replication.md): %v", err)
	}
	return lock, other
}

// locksOneNode is why: who has the table locked keeps nobody on another node from
// writing it, and the RENAME takes a table away with a row that nobody could have seen.
func (top *topology) locksOneNode(t *testing.T) {
	lock, other := top.lockedOnOne(t)
	ctx := t.Context()
	var v int
	if err := lock.QueryRowContext(ctx, "SELECT v FROM shop.l").Scan(&v); err != nil || v != 1 {
		t.Errorf("under the lock the row is %d: %v", v, err)
	}
	renamed := make(chan error, 1)
	go func() {
		_, err := top.root.ExecContext(ctx, "RENAME TABLE shop.l TO shop.o, shop.s TO shop.l")
		renamed <- err
	}()
	await(t, "the RENAME to wait", func() bool {
		var n int
		return top.root.QueryRow("SELECT COUNT(*) FROM information_schema.processlist WHERE state = 'Waiting to execute in isolation' AND info LIKE 'RENAME%'").Scan(&n) == nil && n > 0
	})
	if _, err := lock.ExecContext(ctx, "UNLOCK TABLES"); err != nil {
		t.Fatal(err)
	}
	if err := <-renamed; err != nil {
		t.Fatal(err)
	}
	top.level(t)
	for _, node := range []*sql.DB{top.root, other} {
		var old int
		if err := node.QueryRow("SELECT o.v, l.v FROM shop.o, shop.l").Scan(&old, &v); err != nil || old != 2 || v != 1 {
			t.Errorf("the old table has %d, the new one %d: %v", old, v, err)
		}
	}
}

// flowControl: a node that can't keep up stops the cluster; that is seen as what a
// copy would rest for, until the node keeps up again.
func (top *topology) flowControl(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	defer func() { cancel(); running.Wait() }()
	flavor, err := mysqld.ReadFlavor(ctx, top.root)
	if err != nil {
		t.Fatal(err)
	}
	sampler := signals.New(signals.Config{DB: top.root, Flavor: flavor, Store: noStore{}, Rules: throttle.DefaultRules})
	running.Go(func() { sampler.Run(ctx) })
	defer sampler.Enter()()
	brake := throttle.NewBrake(time.Now(), false)
	turn := func() throttle.Verdict {
		brake.Turn(time.Now(), sampler.State(), nil, throttle.Orders{}, true)
		return brake.Verdict()
	}
	await(t, "the copy to be free", func() bool { return turn().Share == 1 })

	stalled, err := top.replicas[0].DB(t).Conn(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer stalled.Close()
	// (FLUSH TABLES WITH READ LOCK takes the node out of flow control.)
	if _, err := stalled.ExecContext(ctx, "LOCK TABLES shop.t READ"); err != nil {
		t.Fatal(err)
	}
	running.Go(func() {
		for n := 0; ctx.Err() == nil; n++ {
			top.root.ExecContext(ctx, "UPDATE shop.t SET v = ? WHERE id = ?", n, 1+n%1000)
		}
	})
	var verdict throttle.Verdict
	await(t, "the copy to rest", func() bool { verdict = turn(); return verdict.By == throttle.Galera })
	t.Log(verdict.Why)
	if verdict.Share != 0 {
		t.Errorf("it goes on for %g of the time", verdict.Share)
	}
	await(t, "a second to be booked", func() bool { turn(); return brake.Booked()[throttle.Galera] > time.Second })
	if _, err := stalled.ExecContext(ctx, "UNLOCK TABLES"); err != nil {
		t.Fatal(err)
	}
	await(t, "the copy to go on", func() bool { return turn().Share == 1 })
}

// noStore keeps nothing: heartbeats would wait for the cluster, too.
type noStore struct{}

func (noStore) Beat(context.Context, int64, time.Time) error      { return nil }
func (noStore) Owner() string                                     { return "test" }
func (noStore) Limits(context.Context) (map[string]string, error) { return nil, nil }

// alterNow sends a statement, and waits for its end.
func alterNow(t *testing.T, m *testmidflight.Midflight, strategy, statement string) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	conn, err := m.DB(t, "shop").Conn(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.ExecContext(ctx, "SET @midflight_strategy = ?", strategy); err != nil {
		t.Fatal(err)
	}
	_, err = conn.ExecContext(ctx, statement)
	return err
}

// acknowledged is what a writer was told to be in rows that nobody else writes.
type acknowledged struct {
	mu   sync.Mutex // guards rows and n
	rows map[int]int
	n    int

	cancel context.CancelFunc
	ended  chan error
}

// write updates a hundred rows in turn until it is stopped.
func write(t *testing.T, db *sql.DB, first int) *acknowledged {
	ctx, cancel := context.WithCancel(t.Context())
	a := &acknowledged{rows: map[int]int{}, cancel: cancel, ended: make(chan error, 1)}
	go func() {
		for n := 0; ctx.Err() == nil; n++ {
			id := first + n%100
			// A schema change takes back what any node has not committed yet (1213), with
			// or without Midflight. That is not acknowledged.
			_, err := db.Exec("UPDATE shop.t SET v = ? WHERE id = ?", n, id)
			if err != nil && mysqld.Number(err) != mysqld.ErrDeadlock {
				a.ended <- err
				return
			}
			if err == nil {
				a.mu.Lock()
				a.rows[id] = n
				a.n++
				a.mu.Unlock()
			}
		}
		a.ended <- nil
	}()
	return a
}

func (a *acknowledged) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.n
}

func (a *acknowledged) stop(t *testing.T) {
	t.Helper()
	a.cancel()
	if err := <-a.ended; err != nil {
		t.Errorf("a writer: %v", err)
	}
}

func (a *acknowledged) compare(t *testing.T, db *sql.DB) {
	t.Helper()
	for id, want := range a.rows {
		var got int
		if err := db.QueryRow("SELECT v FROM shop.t WHERE id = ?", id).Scan(&got); err != nil || got != want {
			t.Errorf("row %d is %d, acknowledged was %d: %v", id, got, want, err)
			return
		}
	}
}
