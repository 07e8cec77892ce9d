package proxy

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"midflight/internal/testmysql"
	"midflight/proxy/wire"
)

// A way is how a raw client is connected.
type way struct {
	name     string
	tls      bool
	compress wire.Caps
}

var ways = []way{
	{"plain", false, 0},
	{"tls", true, 0},
	{"zlib", false, wire.ClientCompress},
	{"zstd over tls", true, wire.ClientZstd},
}

// dialWay logs in as root, with MariaDB's capabilities too.
func dialWay(t testing.TB, addr, db string, caps wire.Caps, ext wire.ExtCaps, w way) *rawConn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(60 * time.Second))
	c := &rawConn{Conn: conn, t: t}
	if c.greeting, err = wire.ParseGreeting(c.read()); err != nil {
		t.Fatalf("greeting: %v", err)
	}
	caps |= rawCaps | w.compress
	if w.tls {
		caps |= wire.ClientSSL
	}
	if ext != 0 {
		caps &^= wire.ClientMySQL
	}
	c.s = wire.Session{Caps: caps & (c.greeting.Caps | wire.ClientMySQL), Ext: ext & c.greeting.Ext}
	b := binary.LittleEndian.AppendUint32(nil, uint32(caps))
	b = binary.LittleEndian.AppendUint32(b, 1<<30)
	b = append(b, 45)
	b = append(b, make([]byte, 19)...)
	b = binary.LittleEndian.AppendUint32(b, uint32(ext))
	seq := byte(1)
	if w.tls {
		c.sendSeq(b, seq)
		seq++
		c.Conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true})
	}
	b = append(b, "root\x00\x00"...)
	b = append(b, db+"\x00"+c.greeting.Plugin+"\x00"...)
	if caps&wire.ClientZstd != 0 {
		b = append(b, 3)
	}
	c.sendSeq(b, seq)
	for {
		p := c.read()
		switch p[0] {
		case 0:
			if a := wire.Agreed(caps, c.greeting.Caps); a != wire.Uncompressed {
				c.Conn = &packedConn{Conn: c.Conn, in: wire.NewCompressedReader(c.Conn, a)}
			}
			return c
		case 0xff:
			e, _ := wire.ParseErr(p)
			t.Fatalf("login: %v", e)
		case 0xfe:
			c.sendSeq(nil, c.seq+1)
		}
	}
}

// A packedConn packs what it writes, and compresses nothing of it.
type packedConn struct {
	net.Conn
	in  *wire.CompressedReader
	seq byte
}

func (c *packedConn) Read(p []byte) (int, error) {
	for {
		n, err := c.in.Read(p)
		c.seq = c.in.Seq() + 1
		c.in.Drop()
		if n > 0 || err != nil {
			return n, err
		}
	}
}

func (c *packedConn) Write(p []byte) (int, error) {
	if p[3] == 0 { // a command
		c.seq = 0
	}
	var b []byte
	b, c.seq = wire.AppendStored(nil, p, c.seq)
	if _, err := c.Conn.Write(b); err != nil {
		return 0, err
	}
	return len(p), nil
}

// A transcript is what was said.
type transcript struct {
	*rawConn
	strings.Builder
}

func (s *transcript) query(sql string) {
	s.t.Helper()
	fmt.Fprintf(s, "> %.60s\n%s", sql, s.rawConn.query(sql))
}

func (s *transcript) do(what, payload string) {
	s.t.Helper()
	fmt.Fprintf(s, "> %s\n%s", what, s.rawConn.do(payload))
}

func (s *transcript) load(sql string, file ...[]byte) {
	s.t.Helper()
	s.file = append([][]byte{}, file...)
	s.query(sql)
	s.file = nil
}

// executeWith is an execution with texts for parameters.
func (s *transcript) executeWith(n int, flags byte, args ...string) string {
	b := []byte{flags, 1, 0, 0, 0}
	if flags&8 != 0 {
		b = append(b, byte(len(args)))
	}
	b = append(b, make([]byte, (len(args)+7)/8)...)
	b = append(b, 1)
	for i := range args {
		b = append(b, 0xfd, 0)
		if s.s.Caps&wire.ClientQueryAttributes != 0 {
			b = wire.AppendString(b, fmt.Sprintf("p%d", i))
		}
	}
	for _, a := range args {
		b = wire.AppendString(b, a)
	}
	return s.stmt(wire.ComStmtExecute, n, string(b))
}

func (s *transcript) fetch(n int, rows uint32) string {
	return s.stmt(wire.ComStmtFetch, n, string(binary.LittleEndian.AppendUint32(nil, rows)))
}

// same has a conversation directly and through the proxy, on every way.
func same(t *testing.T, s *testmysql.Server, caps wire.Caps, ext wire.ExtCaps, talk func(*transcript)) {
	t.Helper()
	cfg := Config{Server: s.Addr, TLS: testCertificate(t)}
	_, addr := startProxy(t, cfg)
	for _, w := range ways {
		if w.tls && s.Flavor == testmysql.MariaDB {
			continue // the shared one has no certificate
		}
		if w.compress == 0 && strings.Contains(t.Name(), onGoroutines) && w.tls || w.compress != 0 && !strings.Contains(t.Name(), onGoroutines) {
			continue // always carried by goroutines
		}
		t.Run(w.name, func(t *testing.T) {
			say := func(addr string) string {
				if s.Flavor == testmysql.MySQL {
					s.Exec(t, "RESET BINARY LOGS AND GTIDS")
				}
				s.Exec(t, "DROP DATABASE IF EXISTS same", "CREATE DATABASE same")
				tr := &transcript{rawConn: dialWay(t, addr, "same", caps, ext, w)}
				talk(tr)
				tr.Close()
				return tr.String()
			}
			direct, through := say(s.Addr), say(addr)
			if direct == through {
				return
			}
			d, p := strings.Split(direct, "\n"), strings.Split(through, "\n")
			for i := range d {
				if i >= len(p) || d[i] != p[i] {
					t.Fatalf("line %d:\ndirect\n%s\nthrough\n%s", i,
						strings.Join(d[max(i-3, 0):min(i+5, len(d))], "\n"), strings.Join(p[max(i-3, 0):min(i+5, len(p))], "\n"))
				}
			}
			t.Fatal("more through the proxy")
		})
	}
}

// everything is what a client may want to agree on.
const everything = wire.ClientDeprecateEOF | wire.ClientSessionTrack | wire.ClientOptionalMetadata |
	wire.ClientQueryAttributes | wire.ClientMultiStatements

// bothEnds runs a test with all capabilities, and with those of old.
func bothEnds(t *testing.T, s *testmysql.Server, talk func(*transcript)) {
	t.Helper()
	t.Run("all", func(t *testing.T) { same(t, s, everything, 0, talk) })
	t.Run("old", func(t *testing.T) { same(t, s, wire.ClientMultiStatements, 0, talk) })
}

func TestSameCursors(t *testing.T) {
	each(t, func(t *testing.T, s *testmysql.Server) {
		bothEnds(t, s, func(c *transcript) {
			c.do("prepare", "\x16SELECT 1 a UNION SELECT 2 UNION SELECT 3")
			c.do("prepare", "\x16SELECT 1 a FROM DUAL WHERE 1 = 2")
			c.do("prepare", "\x16SELECT REPEAT('x', 20 << 20) UNION ALL SELECT REPEAT('y', 100)")
			c.do("open", c.execute(1, 1))
			c.do("fetch", c.fetch(1, 2))
			c.do("fetch to the end", c.fetch(1, 5))
			c.do("fetch past the end", c.fetch(1, 5))
			c.do("open again", c.execute(1, 1))
			c.do("fetch none", c.fetch(1, 0))
			c.do("fetch exactly", c.fetch(1, 3))
			c.do("fetch behind", c.fetch(1, 1))
			c.do("open an empty one", c.execute(2, 1))
			c.do("fetch", c.fetch(2, 1))
			c.do("fetch unopened", c.fetch(3, 1))
			c.do("open a long one", c.execute(3, 1))
			c.do("fetch", c.fetch(3, 2))
			c.do("fetch of nothing", c.fetch(9, 2))
			c.do("ping", "\x0e")
		})
	})
}

func TestSameRoutines(t *testing.T) {
	each(t, func(t *testing.T, s *testmysql.Server) {
		bothEnds(t, s, func(c *transcript) {
			c.query("CREATE PROCEDURE outs(IN a INT, OUT b INT, INOUT c VARCHAR(10)) BEGIN SET b = a * 2, c = CONCAT(c, a); SELECT a; SELECT b, c; END")
			c.query("CREATE PROCEDURE fails() BEGIN SELECT 1; SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = 65535; END")
			c.do("prepare", "\x16CALL outs(?, ?, ?)")
			c.do("call", c.executeWith(1, 0, "21", "0", "x"))
			c.do("call with a cursor", c.executeWith(1, 1, "21", "0", "x"))
			c.do("fetch", c.fetch(1, 10))
			c.do("prepare", "\x16CALL fails()")
			c.do("call", c.execute(2, 0))
			c.query("CALL fails()")
			c.query("CALL outs(1, @b, @c); CALL fails(); SELECT 1")
			c.do("ping", "\x0e")
		})
	})
}

func TestSameFiles(t *testing.T) {
	each(t, func(t *testing.T, s *testmysql.Server) {
		local(t, s)
		line := bytes.Repeat([]byte("x"), 990)
		var long [][]byte
		n := 0
		for range 20 { // in all more than a packet can have
			var part []byte
			for range 1000 {
				n++
				part = append(fmt.Appendf(part, "%d\t", n), line...)
				part = append(part, '\n')
			}
			long = append(long, part)
		}
		var one []byte
		for _, p := range long {
			one = append(one, p...)
		}
		same(t, s, everything, 0, func(c *transcript) {
			const into = "LOAD DATA LOCAL INFILE 'x' INTO TABLE t"
			c.query("CREATE TABLE t (a INT PRIMARY KEY, b VARCHAR(1000))")
			c.load(into)
			c.load(into, []byte("1\tone\n2\ttwo\n"))
			c.load(into+" (a, missing)", []byte("3\tone\n4\ttwo\n"))
			c.load(into, []byte("5\tone\n"), []byte("not a number\tx\n"), []byte("6\tx\n"))
			c.load("SELECT 1; "+into+"; SELECT 2; "+into, []byte("10\tx\n"))
			c.load("SELECT 1; " + into + "; nonsense; SELECT 2")
			c.query("TRUNCATE TABLE t")
			c.load(into, long...)
			c.query("SELECT COUNT(*), SUM(a), SUM(LENGTH(b)) FROM t")
			c.query("TRUNCATE TABLE t")
			c.load(into, one) // in packets of the greatest length
			c.query("SELECT COUNT(*), SUM(a), SUM(LENGTH(b)) FROM t")
			c.query("DROP TABLE t")
		})
	})
}

func TestSameLengths(t *testing.T) {
	each(t, func(t *testing.T, s *testmysql.Server) {
		local(t, s)
		same(t, s, everything, 0, func(c *transcript) {
			for _, n := range []int{wire.MaxFrame - 1, wire.MaxFrame, wire.MaxFrame + 1, 2 * wire.MaxFrame} {
				head := len(wire.AppendQuery(nil, "SELECT LENGTH('')", c.s))
				c.query("SELECT LENGTH('" + strings.Repeat("y", n-head) + "')")
				// A row is a length of 4 or 9 bytes, and the value.
				value := n - 4
				if value >= 1<<24 {
					value = n - 9
				}
				c.query(fmt.Sprintf("SELECT REPEAT('z', %d)", value))
			}
			c.do("prepare", "\x16SELECT LENGTH(?), MD5(?)")
			for i := range 300 {
				c.do("data", c.stmt(wire.ComStmtSendLong, 1, "\x00\x00"+strings.Repeat("l", i*50)))
			}
			c.do("data", c.stmt(wire.ComStmtSendLong, 1, "\x01\x00"))
			c.do("data", c.stmt(wire.ComStmtSendLong, 1, "\x01\x00"+strings.Repeat("m", wire.MaxFrame-7)))
			c.do("data", c.stmt(wire.ComStmtSendLong, 1, "\x01\x00"+strings.Repeat("m", 100)))
			types := "\x00\x01\xfc\x00\xfc\x00"
			if c.s.Caps&wire.ClientQueryAttributes != 0 {
				types = "\x00\x01\xfc\x00\x00\xfc\x00\x00"
			}
			c.do("execute", c.stmt(wire.ComStmtExecute, 1, "\x00\x01\x00\x00\x00"+types))
			c.do("ping", "\x0e")
		})
	})
}

func TestSameUnknownCommands(t *testing.T) {
	each(t, func(t *testing.T, s *testmysql.Server) {
		bothEnds(t, s, func(c *transcript) {
			c.sendSeq(nil, 0)
			c.WriteString("> an empty packet\n" + c.answer(0))
			c.do("ping", "\x0e")
			for _, cmd := range []byte{0x00, 0x0b, 0x0f, 0x10, 0x13, 0x14, 0x1d} {
				c.do(fmt.Sprintf("%#x", cmd), string([]byte{cmd}))
			}
			c.do("ping", "\x0e")
			c.query("SELECT 1")
		})
	})
}

// MySQL's own: metadata left out, attributes of all types, session tracking.
func TestSameOfMySQL(t *testing.T) {
	s := testmysql.Start(t, testmysql.MySQL)
	s.Exec(t, "INSTALL COMPONENT 'file://component_query_attributes'")
	// Numbers of statements shall have four digits.
	s.Exec(t, slices.Repeat([]string{"DO 1"}, 1000)...)
	for _, carrier := range []string{"loops", onGoroutines} {
		t.Run(carrier, func(t *testing.T) {
			same(t, s, everything, 0, func(c *transcript) {
				c.do("prepare", "\x16SELECT 1, 2, 3 UNION SELECT 4, 5, ?")
				for _, metadata := range []string{"NONE", "FULL"} {
					c.query("SET resultset_metadata = " + metadata)
					c.query("SELECT 1, 2, 3 UNION SELECT 4, 5, 6")
					c.query("SELECT 1; SELECT 2, 3; DO 1; SELECT 4")
					c.query("SELECT 1 WHERE 1 = 0")
					c.do("prepare", "\x16SELECT 1, 2, ?")
					c.do("execute", c.executeWith(1, 0, "7"))
					c.do("cursor", c.executeWith(1, 1, "7"))
					c.do("fetch", c.fetch(1, 1))
					c.do("fetch", c.fetch(1, 5))
					c.do("attributes", c.executeWith(1, 8, "7", "an attribute"))
				}
				attributes(c)
				tracking(c)
			})
		})
	}
}

// attributes sends a query attribute of each type, alone and together.
func attributes(c *transcript) {
	values := []struct {
		typ   byte
		value string
	}{
		{0x01, "\x07"}, {0x02, "\x07\x00"}, {0x03, "\x07\x00\x00\x00"}, {0x08, "\x07\x00\x00\x00\x00\x00\x00\x00"},
		{0x04, "\x00\x00\x80\x3f"}, {0x05, "\x00\x00\x00\x00\x00\x00\xf0\x3f"}, {0x06, ""},
		{0x07, "\x0b\xe2\x07\x0a\x11\x13\x1b\x1e\x01\x00\x00\x00"}, {0x0a, "\x04\xe2\x07\x0a\x11"},
		{0x0c, "\x07\xe2\x07\x0a\x11\x13\x1b\x1e"}, {0x0c, "\x00"}, {0x0b, "\x08\x00\x01\x00\x00\x00\x01\x02\x03"}, {0x0b, "\x00"},
		{0x0f, "\x03abc"}, {0xfd, "\xfc\x2c\x01" + strings.Repeat("v", 300)}, {0xfe, "\x00"}, {0xfc, "\x01b"},
		{0xf6, "\x043.14"}, {0xfb, "\x01l"}, {0xf9, "\x01t"}, {0xfa, "\x01m"}, {0x10, "\x01\x05"}, {0x0d, "\xe2\x07"},
		{0x09, "\x07\x00\x00\x00"}, {0xf5, "\x02{}"}, {0xff, "\x01g"}, {0xf7, "\x01e"}, {0xf8, "\x01s"},
	}
	text := "SELECT mysql_query_attribute_string('n')"
	for _, v := range values {
		c.do(fmt.Sprintf("an attribute of type %#x", v.typ),
			"\x03\x01\x01\x00\x01"+string([]byte{v.typ, 0})+"\x01n"+v.value+text)
	}
	c.do("a null", "\x03\x01\x01\x01\x01\xfe\x00\x01n"+text)
	c.do("unsigned", "\x03\x01\x01\x00\x01\x01\x80\x01n\xff"+text)
	all, data := "", ""
	for i, v := range values[:14] {
		all += string([]byte{v.typ, 0}) + string(wire.AppendString(nil, fmt.Sprintf("n%d", i)))
		data += v.value
	}
	c.do("many", "\x03\x0e\x01\x00\x00\x01"+all+data+"SELECT mysql_query_attribute_string('n13')")
	c.do("a long one", "\x03\x01\x01\x00\x01\xfd\x00\x01n"+string(wire.AppendString(nil, strings.Repeat("v", 100_000)))+text)
	c.do("without types", "\x03\x01\x01\x00\x00"+text)
	c.do("ping", "\x0e")
}

func tracking(c *transcript) {
	for _, sql := range []string{
		"SET session_track_schema = 1, session_track_state_change = 1, session_track_gtids = OWN_GTID",
		"SET session_track_system_variables = '*', session_track_transaction_info = CHARACTERISTICS",
		"USE mysql", "USE same", "SET @a = 1", "SET NAMES latin1", "SET NAMES utf8mb4", "SET time_zone = '+01:00', sql_mode = ''",
		"CREATE TABLE t (a INT PRIMARY KEY) ENGINE = InnoDB", "INSERT INTO t VALUES (1)",
		"SET TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ ONLY", "START TRANSACTION", "SELECT * FROM t", "COMMIT",
		"BEGIN", "INSERT INTO t VALUES (2); SELECT * FROM t; SELECT 1", "SAVEPOINT a", "COMMIT AND CHAIN", "ROLLBACK",
		"SET session_track_transaction_info = STATE", "BEGIN", "SELECT * FROM t", "COMMIT",
		"SET autocommit = 0", "SELECT * FROM t", "SET autocommit = 1",
		"LOCK TABLES t WRITE", "UNLOCK TABLES", "SET session_track_gtids = ALL_GTIDS", "INSERT INTO t VALUES (3)", "DROP TABLE t",
	} {
		c.query(sql)
	}
	c.do("reset", "\x1f")
	c.do("init db", "\x02mysql")
}

// MariaDB's own.
func TestSameOfMariaDB(t *testing.T) {
	s := testmysql.Shared(t, testmysql.MariaDB)
	const ext = wire.ExtProgress | wire.ExtBulkOperations | wire.ExtExtendedMetadata | wire.ExtCacheMetadata | wire.ExtBulkUnitResults
	for _, carrier := range []string{"loops", onGoroutines} {
		t.Run(carrier, func(t *testing.T) {
			for _, caps := range []wire.Caps{wire.ClientMultiStatements, wire.ClientMultiStatements | wire.ClientDeprecateEOF | wire.ClientSessionTrack} {
				same(t, s, caps, ext, func(c *transcript) {
					if c.s.Ext&(wire.ExtCacheMetadata|wire.ExtBulkOperations|wire.ExtExtendedMetadata) == 0 {
						t.Fatalf("agreed on %x", c.s.Ext)
					}
					c.query("CREATE TABLE t (a INT AUTO_INCREMENT PRIMARY KEY, b VARCHAR(20), j JSON, p POINT)")
					c.do("prepare", "\x16INSERT INTO t (b) VALUES (?)")
					row := func(v string) string { return "\x00" + string(wire.AppendString(nil, v)) }
					c.do("bulk", c.stmt(wire.ComStmtBulkExecute, 1, "\x80\x00\xfd\x00"+row("x")+row("y")+row("z")))
					c.do("bulk, unit results", c.stmt(wire.ComStmtBulkExecute, 1, "\xc0\x00\xfd\x00"+row("x")+"\x01"+row("z")))
					c.do("bulk, malformed", c.stmt(wire.ComStmtBulkExecute, 1, "\x80\x00\xfd\x00\x00\xfe"))
					c.do("bulk, unknown", c.stmt(wire.ComStmtBulkExecute, 9, "\x80\x00\xfd\x00"+row("x")))
					c.do("prepare", "\x16INSERT INTO t (b) VALUES (?) RETURNING a, b")
					c.do("bulk with rows", c.stmt(wire.ComStmtBulkExecute, 2, "\x80\x00\xfd\x00"+row("r")+row("s")))
					c.query("SELECT * FROM t")
					c.query("INSERT INTO t VALUES (100, 'x', '{}', POINT(1, 2)) RETURNING *")
					c.do("prepare", "\x16SELECT * FROM t")
					for range 3 {
						c.do("execute", c.execute(3, 0))
					}
					c.do("cursor", c.execute(3, 1))
					c.do("fetch", c.fetch(3, 2))
					c.query("ALTER TABLE t ADD c INT")
					for range 2 {
						c.do("execute", c.execute(3, 0))
					}
					c.do("a change of user", "\x11root\x00\x00\x00\x2d\x00mysql_native_password\x00")
					c.query("SELECT 1")
				})
			}
		})
	}
}

// Servers answer some commands that they don't know, and hang up on others.
func TestSameUnheardOfCommands(t *testing.T) {
	each(t, func(t *testing.T, s *testmysql.Server) {
		_, addr := startProxy(t, Config{Server: s.Addr})
		for cmd := 0x20; cmd <= 0xff; cmd++ {
			say := func(addr string) string {
				c := dialRaw(t, addr, "", wire.ClientDeprecateEOF)
				defer c.Close()
				c.sendSeq([]byte{byte(cmd), 'x', 'y'}, 0)
				p, err := c.readErr()
				if err != nil {
					return "closed"
				}
				ping, _ := wire.AppendPacket(nil, []byte{wire.ComPing}, 0)
				c.Write(ping) // it may have hung up behind its answer
				pong, err := c.readErr()
				if err != nil {
					return string(p) + "closed"
				}
				return string(p) + string(pong)
			}
			if d, p := say(s.Addr), say(addr); d != p {
				t.Errorf("%#x: %q, directly %q", cmd, p, d)
			}
		}
	})
}

// MariaDB's clients execute a statement, by id -1, before they know its id.
func TestSamePipelinedExecution(t *testing.T) {
	s := testmysql.Shared(t, testmysql.MariaDB)
	for _, carrier := range []string{"loops", onGoroutines} {
		for _, ext := range []wire.ExtCaps{0, wire.ExtBulkOperations | wire.ExtCacheMetadata | wire.ExtExtendedMetadata} {
			t.Run(fmt.Sprintf("%s/%x", carrier, ext), func(t *testing.T) {
				_, addr := startProxy(t, Config{Server: s.Addr})
				say := func(addr string) string {
					c := dialWay(t, addr, "mysql", wire.ClientDeprecateEOF, ext, ways[0])
					defer c.Close()
					c.SetDeadline(time.Now().Add(10 * time.Second))
					out := ""
					execute := "\x17\xff\xff\xff\xff\x00\x01\x00\x00\x00"
					for _, sql := range []string{"SELECT 1, 'x'", "DO 1", "SELECT nonsense"} {
						b, _ := wire.AppendPacket(nil, []byte("\x16"+sql), 0)
						b, _ = wire.AppendPacket(b, []byte(execute), 0)
						if _, err := c.Write(b); err != nil {
							t.Fatal(err)
						}
						out += "> " + sql + "\n" + c.answer(wire.ComStmtPrepare) + c.answer(wire.ComStmtExecute) + "> again\n" + c.do(execute)
					}
					return out
				}
				if d, p := say(s.Addr), say(addr); d != p {
					t.Errorf("directly\n%s\nthrough\n%s", d, p)
				}
			})
		}
	}
}
