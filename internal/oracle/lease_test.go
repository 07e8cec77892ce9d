package oracle

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/go-sql-driver/mysql"

	"midflight/internal/testmidflight"
	"midflight/internal/testmysql"
	"midflight/internal/twins"
	"midflight/schema"
)

// A pair are two Midflights in front of one server, and a table.
type pair struct {
	*site
	second *testmidflight.Midflight
	table  schema.Name
}

func eachPair(t *testing.T, f func(t *testing.T, p pair)) {
	if testing.Short() {
		t.Skip("starts Midflight four times")
	}
	testmysql.Each(t, func(t *testing.T, server *testmysql.Server) {
		s := &site{flavor: server.Flavor, server: server, midflight: testmidflight.Start(t, server), root: server.DB(t)}
		p := pair{s, testmidflight.Start(t, server), schema.Name{Schema: server.NewDatabase(t), Table: "t"}}
		session(t, server.Addr, p.table.Schema, "CREATE TABLE t (id INT PRIMARY KEY, v INT)", "INSERT INTO t VALUES (1, 10), (2, 20), (3, 30)").Close()
		f(t, p)
	})
}

// alter sends an ALTER through one of them.
func (p pair) alter(t *testing.T, m *testmidflight.Midflight, options, change string) <-chan error {
	t.Helper()
	conn := session(t, m.Addr, p.table.Schema)
	result := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), longEnough)
		defer cancel()
		_, err := conn.ExecContext(ctx, "ALTER TABLE /* midflight: strategy=copy"+options+" */ t "+change)
		result <- err
	}()
	return result
}

// awaitRow waits until one migration of the table is as a condition says, and
// returns its id.
func (p pair) awaitRow(t *testing.T, condition string) (id string) {
	t.Helper()
	await(t, condition, func() bool {
		ids := twins.List(t, p.root, "SELECT id FROM midflight.migrations WHERE schema_name = ? AND "+condition, p.table.Schema)
		if len(ids) == 1 {
			id = ids[0]
		}
		return len(ids) == 1
	})
	return id
}

func (p pair) columns(t *testing.T) string {
	t.Helper()
	return strings.Join(twins.List(t, p.root, "SELECT column_name FROM information_schema.columns WHERE table_schema = ? AND table_name = 't' ORDER BY 1", p.table.Schema), " ")
}

const waitsForAnother = "phase = 'queued' AND waiting_for LIKE 'another Midflight%'"

// TestTwoMidflights: one table, one migration, also of two programs.
func TestTwoMidflights(t *testing.T) {
	eachPair(t, func(t *testing.T, p pair) {
		first := p.alter(t, p.midflight, ", cutover=manual", "ADD COLUMN a INT")
		id := p.awaitRow(t, "phase = 'ready'")
		second := p.alter(t, p.second, "", "ADD COLUMN b INT")
		other := p.awaitRow(t, waitsForAnother)
		if shadows := twins.List(t, p.root, "SELECT table_name FROM information_schema.tables WHERE table_schema = ? AND table_name <> 't'", p.table.Schema); len(shadows) != 1 {
			t.Errorf("while the second waits there are %q", shadows)
		}
		if _, err := p.root.Exec("CALL midflight.cutover(?)", id); err != nil {
			t.Fatal(err)
		}
		for _, result := range []<-chan error{first, second} {
			if err := <-result; err != nil {
				t.Error(err)
			}
		}
		ended := twins.List(t, p.root, "SELECT MAX(id) FROM midflight.events WHERE migration_id = ?", id)[0]
		if early := twins.List(t, p.root, "SELECT event FROM midflight.events WHERE migration_id = ? AND id < ? AND event LIKE 'phase %'", other, ended); len(early) > 0 {
			t.Errorf("before the first had ended the second was in %q", early)
		}

		// At the same moment, and for the same change.
		for range 3 {
			before := p.columns(t)
			first, second = p.alter(t, p.midflight, "", "ADD COLUMN c INT, ADD INDEX (v)"), p.alter(t, p.second, "", "ADD COLUMN c INT, ADD INDEX (v)")
			made := 0
			for _, result := range []<-chan error{first, second} {
				var e *mysql.MySQLError
				switch err := <-result; {
				case err == nil:
					made++
				case !errors.As(err, &e) || e.Number != 1060: // ER_DUP_FIELDNAME
					t.Errorf("of two that add the same column one gets %v", err)
				}
			}
			if made != 1 || p.columns(t) != strings.Replace(before, "b id", "b c id", 1) {
				t.Errorf("the column was added %d times: %s", made, p.columns(t))
			}
			if _, err := p.root.Exec("ALTER TABLE " + p.table.Quoted() + " DROP COLUMN c, DROP INDEX v"); err != nil {
				t.Fatal(err)
			}
		}
		if rows := strings.Join(twins.List(t, p.root, "SELECT CONCAT_WS(',', id, v) FROM "+p.table.Quoted()+" ORDER BY id"), " "); rows != "1,10 2,20 3,30" {
			t.Errorf("the rows are %s", rows)
		}
		if t.Failed() {
			twins.History(t, p.root, p.table.Schema)
		}
	})
}

// TestLostLease: who has lost his lease before the swap doesn't swap; another may
// be at it. He goes on when he has it again.
func TestLostLease(t *testing.T) {
	eachPair(t, func(t *testing.T, p pair) {
		first := p.alter(t, p.midflight, ", cutover=manual", "ADD COLUMN a INT")
		id := p.awaitRow(t, "phase = 'ready'")
		lease := "midflight." + hex.EncodeToString(half(sha256.Sum256([]byte(p.table.Schema+"\x00"+p.table.Table))))
		// Whoever takes it at once is the other one.
		taker := session(t, p.server.Addr, p.table.Schema)
		taken := make(chan bool, 1)
		go func() {
			var got bool
			taker.QueryRowContext(context.Background(), "SELECT GET_LOCK(?, 20)", lease).Scan(&got)
			taken <- got
		}()
		await(t, "the taker waits", func() bool {
			return len(twins.List(t, p.root, "SELECT id FROM information_schema.processlist WHERE info LIKE 'SELECT GET_LOCK(%20)' AND state LIKE 'User lock'")) > 0
		})
		holder := twins.List(t, p.root, "SELECT IS_USED_LOCK(?)", lease)[0]
		mustExec(t, session(t, p.server.Addr, ""), "KILL "+holder)
		if !<-taken {
			t.Fatal("the lease isn't free")
		}
		if _, err := p.root.Exec("CALL midflight.cutover(?)", id); err != nil {
			t.Fatal(err)
		}
		await(t, "it is interrupted", func() bool { return strings.Contains(p.midflight.Log(), "the lease on the table was lost") })
		second := p.alter(t, p.second, "", "ADD COLUMN b INT")
		p.awaitRow(t, waitsForAnother)
		if got := p.columns(t); got != "id v" || len(first) > 0 {
			t.Errorf("without a lease it has ended, and the columns are %s", got)
		}
		taker.ExecContext(context.Background(), "DO RELEASE_LOCK(?)", lease)
		for _, result := range []<-chan error{first, second} {
			if err := <-result; err != nil {
				t.Error(err)
			}
		}
		if got := p.columns(t); got != "a b id v" {
			t.Errorf("afterwards the columns are %s", got)
		}
		twins.NothingLeft(t, p.root, p.table, true)
	})
}

func half(sum [sha256.Size]byte) []byte { return sum[:len(sum)/2] }

// TestSentAgain: a client whose Midflight has died sends its statement again through
// another, and is told what became of the first. While that is waited for, somebody else's
// equal statement is another one.
func TestSentAgain(t *testing.T) {
	eachPair(t, func(t *testing.T, p pair) {
		first := p.alter(t, p.midflight, ", cutover=manual", "ADD COLUMN a INT")
		id := p.awaitRow(t, "phase = 'ready'")
		dead := twins.List(t, p.root, "SELECT owner FROM midflight.migrations WHERE id = ?", id)[0]
		p.midflight.Kill9()
		if err := <-first; err == nil {
			t.Error("the client of the one that died was told that it is done")
		}
		again := p.alter(t, p.second, ", cutover=manual", "ADD COLUMN a INT")
		p.awaitRow(t, "client_at <> '"+dead+"' AND owner <> '"+dead+"' AND phase = 'ready'")
		another := p.alter(t, p.second, ", cutover=manual", "ADD COLUMN a INT")
		await(t, "another migration", func() bool {
			return len(twins.List(t, p.root, "SELECT id FROM midflight.migrations WHERE schema_name = ?", p.table.Schema)) == 2
		})
		mustExec(t, session(t, p.server.Addr, ""), "CALL midflight.cutover("+id+")")
		if err := <-again; err != nil {
			t.Errorf("the client that has sent it again was told: %v", err)
		}
		if err := <-another; number(err) != 1060 {
			t.Errorf("the other client was told: %v", err)
		}
		if got := p.columns(t); got != "a id v" {
			t.Errorf("the columns are %s", got)
		}
		twins.NothingLeft(t, p.root, p.table, true)
	})
}

// TestSentAgainAfterACrash: a client whose server has died sends its statement again by the
// same Midflight, which could not record that he had gone, and gets what becomes of the first.
func TestSentAgainAfterACrash(t *testing.T) {
	if testing.Short() {
		t.Skip("starts servers")
	}
	t.Parallel() // most of it is waiting
	for _, f := range []testmysql.Flavor{testmysql.MySQL, testmysql.MariaDB} {
		t.Run(string(f), func(t *testing.T) {
			t.Parallel()
			server := testmysql.Start(t, f)
			s := &site{flavor: f, server: server, midflight: testmidflight.Start(t, server), root: server.DB(t)}
			p := pair{s, nil, schema.Name{Schema: server.NewDatabase(t), Table: "t"}}
			session(t, server.Addr, p.table.Schema, "CREATE TABLE t (id INT PRIMARY KEY, v INT)").Close()
			first := p.alter(t, p.midflight, ", cutover=manual", "ADD COLUMN a INT")
			id := p.awaitRow(t, "phase = 'ready'")
			server.Kill9(t)
			if err := <-first; err == nil {
				t.Error("the client was told that it is done")
			}
			server.StartAgain(t)
			p.root = server.DB(t)
			again := p.alter(t, p.midflight, ", cutover=manual", "ADD COLUMN a INT")
			await(t, "the session waits", func() bool {
				return len(twins.List(t, p.root, "SELECT id FROM information_schema.processlist WHERE info LIKE '/* midflight: t %'")) == 1
			})
			if n := len(twins.List(t, p.root, "SELECT id FROM midflight.migrations")); n != 1 {
				t.Errorf("%d migrations", n)
			}
			p.awaitRow(t, "phase = 'ready'")
			mustExec(t, session(t, server.Addr, ""), "CALL midflight.cutover("+id+")")
			if err := <-again; err != nil {
				t.Errorf("the client was told: %v", err)
			}
			twins.NothingLeft(t, p.root, p.table, true)
			s.midflight.Stop()
		})
	}
}

// TestAllHold: for the swap of one Midflight the others hold the statements that come by
// them, and go on when it is over.
func TestAllHold(t *testing.T) {
	eachPair(t, func(t *testing.T, p pair) {
		stop := make(chan struct{})
		var writers sync.WaitGroup
		for range 4 {
			conn := session(t, p.second.Addr, p.table.Schema)
			writers.Add(1)
			go func() {
				defer writers.Done()
				for {
					select {
					case <-stop:
						return
					default:
					}
					if _, err := conn.ExecContext(context.Background(), "UPDATE t SET v = v + 1 WHERE id = 2"); err != nil {
						t.Error(err)
						return
					}
				}
			}()
		}
		held := regexp.MustCompile(`which another Midflight runs: held [1-9]`)
		for n := 0; n < 5 && !held.MatchString(p.second.Log()); n++ {
			if err := <-p.alter(t, p.midflight, "", fmt.Sprintf("ADD COLUMN c%d INT", n)); err != nil {
				t.Error(err)
			}
		}
		close(stop)
		writers.Wait()
		if !held.MatchString(p.second.Log()) {
			t.Errorf("the second has held nothing:\n%s", strings.Join(regexp.MustCompile(`.*another Midflight runs.*`).FindAllString(p.second.Log(), -1), "\n"))
		}
	})
}

// TestSentAgainIsKilled: who is told of it can end it, whoever runs it.
func TestSentAgainIsKilled(t *testing.T) {
	eachPair(t, func(t *testing.T, p pair) {
		conn := session(t, p.midflight.Addr, p.table.Schema)
		ctx, leave := context.WithCancel(context.Background())
		go conn.ExecContext(ctx, "ALTER TABLE /* midflight: strategy=copy, cutover=manual */ t ADD COLUMN a INT")
		p.awaitRow(t, "phase = 'ready'")
		leave()
		p.awaitRow(t, "client_gone = TRUE")
		again := p.alter(t, p.second, ", cutover=manual", "ADD COLUMN a INT")
		p.awaitRow(t, "client_gone = FALSE AND client_at <> owner AND phase = 'ready'")
		await(t, "its end", func() bool {
			for _, waits := range twins.List(t, p.root, "SELECT id FROM information_schema.processlist WHERE info LIKE '/* midflight: t ready%'") {
				p.root.Exec("KILL QUERY " + waits)
			}
			return len(again) > 0
		})
		if err := <-again; number(err) != 1317 {
			t.Errorf("the client was told: %v", err)
		}
		p.awaitRow(t, "phase = 'canceled'")
		twins.NothingLeft(t, p.root, p.table, false)
	})
}

func number(err error) uint16 {
	var e *mysql.MySQLError
	if errors.As(err, &e) {
		return e.Number
	}
	return 0
}
