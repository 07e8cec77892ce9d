package oracle

import (
	"bytes"
	"context"
	"database/sql"
	"net"
	"sync/atomic"
	"testing"

	"midflight/internal/testmidflight"
	"midflight/internal/testmysql"
	"midflight/internal/twins"
)

// A forgetter stands between Midflight and the server. Told to, it lets one
// COMMIT through and closes the connection instead of bringing the answer.
type forgetter struct {
	net.Listener
	server string
	told   atomic.Bool
	did    chan struct{}
}

func startForgetter(t *testing.T, server string) *forgetter {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	f := &forgetter{Listener: l, server: server, did: make(chan struct{})}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go f.carry(c)
		}
	}()
	return f
}

func (f *forgetter) carry(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", f.server)
	if err != nil {
		return
	}
	defer server.Close()
	var forgets atomic.Bool
	go func() {
		defer server.Close()
		buf := make([]byte, 1<<16)
		for {
			n, err := client.Read(buf)
			if bytes.Equal(buf[:n], []byte("\x07\x00\x00\x00\x03COMMIT")) && f.told.CompareAndSwap(true, false) {
				forgets.Store(true)
			}
			if _, failed := server.Write(buf[:n]); err != nil || failed != nil {
				return
			}
		}
	}()
	buf := make([]byte, 1<<16)
	for first := true; ; first = false {
		n, err := server.Read(buf)
		if forgets.Load() {
			close(f.did)
			return
		}
		if first {
			plain(buf[:n])
		}
		if _, failed := client.Write(buf[:n]); err != nil || failed != nil {
			return
		}
	}
}

// plain takes CLIENT_SSL off a server's greeting: what is encrypted can't be read.
func plain(greeting []byte) {
	const header, thread, salt = 5, 4, 9
	if version := bytes.IndexByte(greeting[min(header, len(greeting)):], 0); version >= 0 {
		if high := header + version + 1 + thread + salt + 1; high < len(greeting) {
			greeting[high] &^= 0x08
		}
	}
}

// TestCountAfterALostCommit: the answer has the number of rows, also if the answer
// to a COMMIT of changes got lost.
func TestCountAfterALostCommit(t *testing.T) {
	if testing.Short() {
		t.Skip("starts Midflight twice")
	}
	testmysql.Each(t, func(t *testing.T, server *testmysql.Server) {
		f := startForgetter(t, server.Addr)
		s := &site{flavor: server.Flavor, server: server, root: server.DB(t),
			midflight: testmidflight.Start(t, server, "--server", f.Addr().String())}
		db := server.NewDatabase(t)
		direct := session(t, server.Addr, db, "CREATE TABLE t (id INT PRIMARY KEY, v INT)", "INSERT INTO t VALUES (1, 10), (2, 20), (3, 30)")
		user := s.session(t, db)
		type answer struct {
			sql.Result
			error
		}
		answers := make(chan answer, 1)
		go func() {
			r, err := user.ExecContext(context.Background(), "ALTER TABLE /* midflight: strategy=copy, cutover=manual */ t MODIFY v BIGINT")
			answers <- answer{r, err}
		}()
		awaitPhase(t, s.root, db, "ready")
		f.told.Store(true)
		mustExec(t, direct, "INSERT INTO t VALUES (4, 40), (5, 50)")
		<-f.did
		id := twins.List(t, s.root, "SELECT id FROM midflight.migrations WHERE schema_name = ?", db)[0]
		mustExec(t, direct, "CALL midflight.cutover("+id+")")
		a := <-answers
		if a.error != nil {
			t.Fatal(a.error)
		}
		if n, _ := a.RowsAffected(); n != 5 {
			t.Errorf("the answer says %d rows", n)
		}
		if n := twins.List(t, s.root, "SELECT COUNT(*) FROM "+db+".t")[0]; n != "5" {
			t.Errorf("there are %s rows", n)
		}
	})
}
