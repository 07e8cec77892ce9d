package intercept_test

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"midflight/internal/testmidflight"
	"midflight/internal/testmysql"
)

// A client is one session, directly with the server or through Midflight.
type client struct {
	t    testing.TB
	pool *sql.DB
	conn *sql.Conn // of pool, which has no other
	id   int64     // CONNECTION_ID()
	rec  *recorder
}

// A recorder keeps what the server sent since the last statement, for what a
// driver doesn't tell: flags, texts, the number of results.
type recorder struct {
	net.Conn
	mu  sync.Mutex
	got []byte
}

func (r *recorder) Read(p []byte) (int, error) {
	n, err := r.Conn.Read(p)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.got = append(r.got, p[:n]...)
	return n, err
}

func (r *recorder) reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.got = nil
}

// An okPacket is a result without rows.
type okPacket struct {
	affected, insertID uint64
	inTransaction      bool
	more               bool
	warnings           uint16
	info               string
}

// oks are the results without rows since the last statement. Packets of rows
// don't begin with a zero byte in what these tests select.
func (r *recorder) oks() []okPacket {
	r.mu.Lock()
	defer r.mu.Unlock()
	var list []okPacket
	for b := r.got; len(b) > 4; {
		n := int(b[0]) | int(b[1])<<8 | int(b[2])<<16
		if len(b) < 4+n {
			break
		}
		p := b[4 : 4+n]
		b = b[4+n:]
		if n < 7 || p[0] != 0 {
			continue
		}
		var ok okPacket
		p = p[1:]
		ok.affected, p = lenenc(p)
		ok.insertID, p = lenenc(p)
		status := binary.LittleEndian.Uint16(p)
		ok.inTransaction, ok.more = status&1 != 0, status&8 != 0
		ok.warnings = binary.LittleEndian.Uint16(p[2:])
		if p = p[4:]; len(p) > 0 {
			var size uint64
			size, text := lenenc(p)
			if int(size) == len(text) {
				p = text
			}
			ok.info = string(p)
		}
		list = append(list, ok)
	}
	return list
}

func lenenc(p []byte) (uint64, []byte) {
	switch p[0] {
	case 0xfc:
		return uint64(binary.LittleEndian.Uint16(p[1:])), p[3:]
	case 0xfd:
		return uint64(p[1]) | uint64(p[2])<<8 | uint64(p[3])<<16, p[4:]
	}
	return uint64(p[0]), p[1:]
}

var dials atomic.Int64

// dial opens a session; user "" is root. params are the driver's, such as
// multiStatements=true.
func dial(t testing.TB, addr, user, db string, params ...string) *client {
	t.Helper()
	if user == "" {
		user = "root"
	}
	c := &client{t: t}
	network := fmt.Sprintf("recorded%d", dials.Add(1))
	mysql.RegisterDialContext(network, func(ctx context.Context, addr string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
		if err != nil {
			return nil, err
		}
		c.rec = &recorder{Conn: conn}
		return c.rec, nil
	})
	cfg, err := mysql.ParseDSN(fmt.Sprintf("%s@%s(%s)/%s?%s", user, network, addr, db, strings.Join(params, "&")))
	if err != nil {
		t.Fatal(err)
	}
	cfg.Logger = quiet{} // lost connections are what some tests are about
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		t.Fatal(err)
	}
	c.pool = sql.OpenDB(connector)
	t.Cleanup(c.leave)
	if c.conn, err = c.pool.Conn(context.Background()); err != nil {
		t.Fatalf("connect as %s to %s: %v", user, addr, err)
	}
	if err := c.conn.QueryRowContext(context.Background(), "SELECT CONNECTION_ID()").Scan(&c.id); err != nil {
		t.Fatal(err)
	}
	return c
}

// leave ends the session, as a client does.
func (c *client) leave() {
	c.pool.Close()
	if c.conn != nil {
		c.conn.Close()
	}
}

// vanish ends the session as a client does that is killed.
func (c *client) vanish() { c.rec.Close() }

type quiet struct{}

func (quiet) Print(...any) {}

// say tells the answer as the mysql client would, without counts and times.
func (c *client) say(query string) string {
	c.rec.reset()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	rows, err := c.conn.QueryContext(ctx, query)
	if err != nil {
		return answer(err)
	}
	defer rows.Close()
	var b strings.Builder
	for {
		names, _ := rows.Columns()
		if len(names) > 0 {
			b.WriteString(strings.Join(names, " | ") + "\n")
		}
		values := make([]sql.NullString, len(names))
		into := make([]any, len(names))
		for i := range values {
			into[i] = &values[i]
		}
		for rows.Next() {
			if err := rows.Scan(into...); err != nil {
				return b.String() + answer(err)
			}
			for i, v := range values {
				if i > 0 {
					b.WriteString(" | ")
				}
				if !v.Valid {
					v.String = "NULL"
				}
				b.WriteString(v.String)
			}
			b.WriteByte('\n')
		}
		if !rows.NextResultSet() {
			break
		}
	}
	return b.String() + answer(rows.Err())
}

func answer(err error) string {
	var e *mysql.MySQLError
	switch {
	case err == nil:
		return "OK"
	case errors.As(err, &e):
		return fmt.Sprintf("ERROR %d (%s): %s", e.Number, e.SQLState[:], e.Message)
	}
	return "LOST: " + err.Error()
}

// exec runs statements that must succeed.
func (c *client) exec(statements ...string) {
	c.t.Helper()
	for _, q := range statements {
		if got := c.say(q); !strings.HasSuffix(got, "OK") {
			c.t.Fatalf("%s: %s", q, got)
		}
	}
}

// refused runs a statement that must fail, with an answer that begins so.
func (c *client) refused(query, prefix string) {
	c.t.Helper()
	if got := c.say(query); !strings.HasPrefix(got, prefix) {
		c.t.Errorf("%s: %s, want %s…", query, got, prefix)
	}
}

// value is the single value that a query selects.
func (c *client) value(query string) string {
	c.t.Helper()
	var v sql.NullString
	if err := c.conn.QueryRowContext(context.Background(), query).Scan(&v); err != nil {
		c.t.Fatalf("%s: %v", query, err)
	}
	return v.String
}

// begin runs a statement and goes on; the channel gives the answer.
func (c *client) begin(query string) <-chan string {
	done := make(chan string, 1)
	go func() { done <- c.say(query) }()
	return done
}

// ends waits for the answer of begin.
func ends(t testing.TB, done <-chan string) string {
	t.Helper()
	select {
	case got := <-done:
		return got
	case <-time.After(30 * time.Second):
		t.Fatal("the statement has not ended in 30 s")
		return ""
	}
}

// await polls: the server tells nobody when a row changes.
func await(t testing.TB, what string, is func() bool) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for !is() {
		if time.Now().After(deadline) {
			t.Fatalf("waited 30 s in vain: %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// A place is a running Midflight, and root's session around it in a database
// of the test's own.
type place struct {
	t  *testing.T
	m  *testmidflight.Midflight
	s  *testmysql.Server
	db string
	*client
}

// each runs a test on both servers, with a Midflight of its own in front.
func each(t *testing.T, fn func(t *testing.T, p place)) {
	if testing.Short() {
		t.Skip("NOT TESTED: the whole program on real servers (-short)")
	}
	testmysql.Each(t, func(t *testing.T, s *testmysql.Server) {
		db := s.NewDatabase(t)
		m := testmidflight.Start(t, s, "--keep-old", "0")
		fn(t, place{t, m, s, db, dial(t, s.Addr, "", db)})
	})
}

// through opens a session of root's, or another's, through Midflight.
func (p place) through(user string, params ...string) *client {
	p.t.Helper()
	return dial(p.t, p.m.Addr, user, p.db, params...)
}

// table makes a table of n rows.
func (p place) table(name string, n int) {
	p.t.Helper()
	p.exec("CREATE TABLE "+name+" (id INT PRIMARY KEY AUTO_INCREMENT, v VARCHAR(40), n INT)",
		"INSERT INTO "+name+" (v, n) SELECT CONCAT('row ', s), s FROM (WITH RECURSIVE s AS (SELECT 1 s UNION ALL SELECT s + 1 FROM s WHERE s < "+fmt.Sprint(min(n, 1000))+") SELECT s FROM s) x")
	for have := min(n, 1000); have < n; have *= 2 {
		p.exec(fmt.Sprintf("INSERT INTO %s (v, n) SELECT v, n FROM %s LIMIT %d", name, name, n-have))
	}
}

// latest is the id of the table's latest migration, 0 when it has none.
func (p place) latest(table string) (id int64) {
	p.t.Helper()
	err := p.conn.QueryRowContext(context.Background(), "SELECT COALESCE(MAX(id), 0) FROM midflight.migrations WHERE schema_name = ? AND table_name = ?", p.db, table).Scan(&id)
	if err != nil {
		p.t.Fatal(err)
	}
	return id
}

func (p place) phase(id int64) string {
	p.t.Helper()
	return p.value(fmt.Sprintf("SELECT phase FROM midflight.migrations WHERE id = %d", id))
}

func (p place) awaitPhase(id int64, phase string) {
	p.t.Helper()
	await(p.t, fmt.Sprintf("migration %d in phase %s (it is in %s)", id, phase, p.phase(id)), func() bool {
		now := p.phase(id)
		if now != phase && (now == "failed" || now == "canceled" || now == "completed") {
			p.t.Fatalf("migration %d is %s, want %s: %s", id, now, phase, p.value(fmt.Sprintf("SELECT error FROM midflight.migrations WHERE id = %d", id)))
		}
		return now == phase
	})
}

// hold begins a copying ALTER on c that waits, in sync, for its cut-over.
func (p place) hold(c *client, table string) (id int64, done <-chan string) {
	p.t.Helper()
	before := p.latest(table)
	done = c.begin("ALTER TABLE /* midflight: strategy=copy, cutover=manual */ " + table + " ADD COLUMN extra INT")
	await(p.t, "the migration is recorded", func() bool {
		select {
		case got := <-done:
			p.t.Fatalf("a held ALTER has ended: %s", got)
		default:
		}
		id = p.latest(table)
		return id > before
	})
	p.awaitPhase(id, "ready")
	return id, done
}

// nothingLeft checks that only the user's own tables are in the database, and
// nothing of ours elsewhere.
func (p place) nothingLeft() {
	p.t.Helper()
	if left := p.value(`SELECT GROUP_CONCAT(table_schema, '.', table_name) FROM information_schema.tables
WHERE table_schema LIKE '\_midflight\_%' OR table_schema = DATABASE() AND (table_name LIKE '\_%' OR table_name LIKE '%~%')`); left != "" {
		p.t.Errorf("left behind: %s", left)
	}
	if left := p.value(`SELECT GROUP_CONCAT(schema_name) FROM information_schema.schemata WHERE schema_name LIKE '\_midflight\_%'`); left != "" {
		p.t.Errorf("left behind: the schemas %s", left)
	}
	if left := p.value("SELECT COUNT(*) FROM midflight.fences"); left != "0" {
		p.t.Errorf("left behind: %s fences", left)
	}
	if left := p.value("SELECT GROUP_CONCAT(schema_name, '.', table_name) FROM midflight.tables"); left != "" {
		p.t.Errorf("left behind: records of the tables %s", left)
	}
}
