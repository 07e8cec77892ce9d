package binlog

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"midflight/internal/testmysql"
	"midflight/mysqld"
	"midflight/schema"
)

// A bench is a database of its own on one server, with a marker table.
type bench struct {
	testing.TB
	s      *testmysql.Server
	db     *sql.DB
	flavor mysqld.Flavor
	schema string
	config mysqld.Config
}

func newBench(t testing.TB, s *testmysql.Server) *bench {
	t.Helper()
	b := &bench{TB: t, s: s, schema: s.NewDatabase(t), config: mysqld.Config{Addr: s.Addr, User: "root"}}
	db, err := mysqld.Open(b.config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	b.db = db
	if b.flavor, err = mysqld.ReadFlavor(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	b.exec("CREATE TABLE fences (id INT PRIMARY KEY AUTO_INCREMENT, token VARCHAR(300) CHARACTER SET ascii NOT NULL)")
	return b
}

var noGTIDs = []string{"--gtid-mode=OFF", "--enforce-gtid-consistency=OFF"}

// each runs fn on both flavors, and on MySQL without GTIDs.
func each(t *testing.T, fn func(b *bench)) {
	testmysql.Each(t, func(t *testing.T, s *testmysql.Server) { fn(newBench(t, s)) })
	t.Run("mysql without gtids", func(t *testing.T) {
		fn(newBench(t, testmysql.Start(t, testmysql.MySQL, noGTIDs...)))
	})
}

// exec runs statements in one session in the bench's database.
func (b *bench) exec(statements ...string) {
	b.Helper()
	b.s.Exec(b, append([]string{"USE " + b.schema}, statements...)...)
}

func (b *bench) start() Position {
	b.Helper()
	p, err := Start(b.Context(), b.db, b.flavor)
	if err != nil {
		b.Fatal(err)
	}
	if q, err := ParsePosition(p.String()); err != nil || q != p {
		b.Fatalf("ParsePosition(%q): %v, %v", p, q, err)
	}
	return p
}

// watch reads a table and takes the named columns, or the primary key.
func (b *bench) watch(table string, columns ...string) Watch {
	b.Helper()
	t, err := schema.Read(b.Context(), b.db, schema.Name{Schema: b.schema, Table: table})
	if err != nil {
		b.Fatal(err)
	}
	if len(columns) == 0 {
		columns = t.Keys[0].Names()
	}
	w := Watch{Table: t}
	for _, name := range columns {
		c, ok := t.Column(name)
		if !ok {
			b.Fatalf("%s has no column %s", table, name)
		}
		w.Key = append(w.Key, c)
	}
	return w
}

func (b *bench) open(from Position, watch ...Watch) *Stream {
	b.Helper()
	s, err := Open(b.Context(), b.streamConfig(from, watch...))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(s.Close)
	return s
}

func (b *bench) streamConfig(from Position, watch ...Watch) Config {
	return Config{Server: b.config, Flavor: b.flavor, From: from, Watch: watch, Fences: schema.Name{Schema: b.schema, Table: "fences"}}
}

// A delivery is a Stream or a Subscription.
type delivery interface {
	Next(context.Context) (Tx, error)
}

func (b *bench) next(s delivery) Tx {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), 60*time.Second)
	defer cancel()
	tx, err := s.Next(ctx)
	if err != nil {
		b.Fatalf("next: %v", err)
	}
	return tx
}

var tokens atomic.Int64

// drain writes a marker and returns all that comes before it.
func (b *bench) drain(s delivery) []Tx {
	b.Helper()
	token := fmt.Sprintf("token-%d", tokens.Add(1))
	b.exec("INSERT INTO fences (token) VALUES ('" + token + "')")
	var txs []Tx
	for {
		tx := b.next(s)
		for _, f := range tx.Fences {
			if f == token {
				return txs
			}
		}
		if tx.Fences = nil; !tx.Empty() {
			txs = append(txs, tx)
		}
	}
}

// failure drains until Next fails.
func (b *bench) failure(s delivery) error {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), 60*time.Second)
	defer cancel()
	for {
		if _, err := s.Next(ctx); err != nil {
			return err
		}
	}
}

// text writes transactions as lines of changes, each transaction's in [ ].
func text(txs []Tx) string {
	var out []string
	for _, tx := range txs {
		var parts []string
		for _, c := range tx.Changes {
			switch {
			case c.Before == nil:
				parts = append(parts, "+"+readable(*c.After))
			case c.After == nil:
				parts = append(parts, "-"+readable(*c.Before))
			default:
				parts = append(parts, readable(*c.Before)+">"+readable(*c.After))
			}
		}
		for _, s := range tx.Statements {
			parts = append(parts, s.SQL)
		}
		if tx.UnknownXA != "" {
			parts = append(parts, "unknown "+tx.UnknownXA)
		}
		out = append(out, "["+strings.Join(parts, " ")+"]")
	}
	return strings.Join(out, "\n")
}

func readable(k Key) string { return strings.ReplaceAll(string(k), "\x00", ",") }

func (b *bench) check(txs []Tx, want string) {
	b.Helper()
	if got := text(txs); got != want {
		b.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}
