package hardcases

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"midflight/internal/testmysql"
	"midflight/mysqld"
)

// A migration is an ALTER that was sent through Midflight.
type migration struct {
	s    *scene
	id   string
	conn *sql.Conn // its client's
	done chan struct{}
	err  error // when done is closed
}

// manual lets a migration wait in sync for the operator's word.
const manual = "SET @midflight_strategy = 'copy', @midflight_cutover = 'manual';"

// begin sends an ALTER.
func (s *scene) begin(session, alter string) *migration {
	s.t.Helper()
	m := &migration{s: s, done: make(chan struct{}), conn: s.through(s.on[0].Schema)}
	s.exec(m.conn, "DO 0; "+session)
	last := s.lastID()
	text := s.say(alter, s.on[0].Schema)
	ctx, cancel := context.WithCancel(context.Background())
	s.t.Cleanup(func() { // of a test that has failed
		if !m.over() {
			m.command("cancel")
			cancel()
			<-m.done
		}
	})
	go func() {
		_, m.err = m.conn.ExecContext(ctx, text)
		close(m.done)
	}()
	s.await("the migration's record", func() bool {
		m.id = s.lastID()
		return m.id != last || m.over()
	})
	return m
}

func (s *scene) lastID() string {
	return s.list("SELECT COALESCE(MAX(id), 0) FROM midflight.migrations WHERE schema_name = ?", s.on[0].Schema)[0]
}

func (m *migration) over() bool {
	select {
	case <-m.done:
		return true
	default:
		return false
	}
}

// phase is the migration's, and what it waits for.
func (m *migration) phase() (phase, waiting string) {
	m.s.t.Helper()
	all := m.s.list("SELECT CONCAT(phase, '\n', waiting_for) FROM midflight.migrations WHERE id = ?", m.id)
	if len(all) == 0 {
		return "", ""
	}
	phase, waiting, _ = strings.Cut(all[0], "\n")
	return phase, waiting
}

// await waits for a phase; false: the migration has ended before.
func (m *migration) await(phase string) bool {
	m.s.t.Helper()
	there := false
	m.s.await("phase "+phase, func() bool {
		now, _ := m.phase()
		there = now == phase
		return there || m.over()
	})
	return there
}

// awaits waits until the migration says that it waits for something.
func (m *migration) awaits(what string) {
	m.s.t.Helper()
	m.s.await("the migration to wait for "+what, func() bool {
		_, waiting := m.phase()
		if m.over() {
			m.s.t.Fatalf("the migration did not wait for %s, but ended: %v", what, m.err)
		}
		return strings.Contains(waiting, what)
	})
}

// command is the operator's word.
func (m *migration) command(what string) {
	// It may have ended meanwhile, of which the caller hears.
	m.s.root.Exec("CALL midflight." + what + "(" + m.id + ")")
}

// end waits for the ALTER's answer.
func (m *migration) end() error {
	m.s.t.Helper()
	m.s.await("the ALTER's end", m.over)
	return m.err
}

// cutOver lets a migration that waits swap the tables.
func (m *migration) cutOver() error {
	m.s.t.Helper()
	m.command("cutover")
	return m.end()
}

// lease is the lock by name that a Midflight takes to migrate a table.
func (s *scene) lease() string {
	sum := sha256.Sum256([]byte(s.on[0].Schema + "\x00" + s.on[0].Table))
	return "midflight." + hex.EncodeToString(sum[:16])
}

// beginPaused sends an ALTER whose copy has not begun: the table is kept from
// Midflight until the pause is in its record.
func (s *scene) beginPaused(session, alter string) *migration {
	s.t.Helper()
	keeper := s.around("")
	s.exec(keeper, fmt.Sprintf("DO GET_LOCK('%s', 0)", s.lease()))
	m := s.begin(session, alter)
	m.awaits("another Midflight")
	m.command("pause")
	s.exec(keeper, fmt.Sprintf("DO RELEASE_LOCK('%s')", s.lease()))
	m.await("copying")
	return m
}

// beginHeld sends an ALTER whose copy comes to the rows of a condition and stays
// there, in the midst of their chunk, until let is called.
func (s *scene) beginHeld(session, alter, columns, rows string) (m *migration, let func()) {
	s.t.Helper()
	m = s.beginPaused(session, alter)
	if m.over() {
		return m, func() {}
	}
	insert := "INSERT INTO {shadow} SELECT * FROM t WHERE " + rows
	if columns != "" {
		insert = fmt.Sprintf("INSERT INTO {shadow} (%s) SELECT %[1]s FROM t WHERE %s", columns, rows)
	}
	let = s.lockShadow(insert, m)
	m.command("resume")
	m.awaitBlocked("copy")
	return m, let
}

// lockShadow holds rows of the shadow table in a transaction until let is called.
func (s *scene) lockShadow(statement string, m *migration) (let func()) {
	s.t.Helper()
	conn := s.around(s.on[0].Schema)
	shadow := s.list("SELECT table_name FROM midflight.tables WHERE migration_id = ?", m.id)
	if len(shadow) != 1 {
		s.t.Fatalf("the shadow tables are %q", shadow)
	}
	// READ COMMITTED, so that INSERT … SELECT locks no row of the original.
	s.exec(conn, "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED; BEGIN; "+strings.ReplaceAll(statement, "{shadow}", "`"+shadow[0]+"`"))
	return func() { s.exec(conn, "ROLLBACK") }
}

var (
	// information_schema.innodb_trx is of no use here: it shows what it read
	// before as long as it is asked more often than every 100 ms.
	transactions = "SHOW ENGINE INNODB STATUS"
	threadID     = regexp.MustCompile(`thread id (\d+)`)
)

// awaitBlocked waits until a statement of the migration's waits for a row lock,
// and returns its connection.
func (m *migration) awaitBlocked(tag string) (connection string) {
	m.s.t.Helper()
	tag = fmt.Sprintf("/* midflight m%s %s */", m.id, tag)
	m.s.await("our "+tag+" to wait for a lock", func() bool {
		if m.over() {
			m.s.t.Fatalf("the migration ended before: %v", m.err)
		}
		var kind, name, status string
		if err := m.s.root.QueryRow(transactions).Scan(&kind, &name, &status); err != nil {
			m.s.t.Fatal(err)
		}
		for _, transaction := range strings.Split(status, "---TRANSACTION")[1:] {
			if id := threadID.FindStringSubmatch(transaction); id != nil && strings.Contains(transaction, "LOCK WAIT") && strings.Contains(transaction, tag) {
				connection = id[1]
			}
		}
		return connection != ""
	})
	return connection
}

// A story is a case of the usual form: a table, an ALTER, and what is written
// meanwhile. The server's own ALTER of a twin with the same writes says how it
// must end.
type story struct {
	create   string // what makes the table t and its rows
	session  string // settings of the session that alters
	alter    string
	mode     string // settings of the session that writes
	at       string // the rows at which the copy is held …
	columns  string // … of which these must be inserted; "": all
	copying  string // … while this is written
	ready    string // written when all is copied and the tables are in sync
	fails    uint16 // the error of the server's own ALTER; 0: it succeeds
	loose    bool   // which of two rows the error names depends on the order of reading
	differ   string // columns whose values are nobody's to foresee
	warnings bool   // their number counts, and the first of them
	check    string // a query in both schemas that must give the same

	elsewhere      testmysql.Flavor
	failsElsewhere uint16
}

// or gives another error for one server.
func (st story) or(f testmysql.Flavor, fails uint16) story {
	st.elsewhere, st.failsElsewhere = f, fails
	return st
}

func (st story) play(s *scene) {
	s.t.Helper()
	s.both(st.create)
	var m *migration
	switch {
	case st.at != "":
		var let func()
		m, let = s.beginHeld(manual+st.session, st.alter, st.columns, st.at)
		s.both(st.mode)
		s.both(st.copying)
		let()
	case st.ready != "":
		m = s.begin(manual+st.session, st.alter)
		s.both(st.mode)
	default:
		m = s.begin("SET @midflight_strategy = 'copy';"+st.session, st.alter)
	}
	if st.at != "" || st.ready != "" {
		m.await("ready")
		s.both(st.ready)
		m.command("cutover")
	}
	ours := m.end()
	st.judge(s, ours)
	if !st.warnings || st.loose || s.t.Failed() {
		return
	}
	if got, want := s.answer(0, m.conn), s.answer(1, s.nativeConn); got != want {
		s.t.Errorf("the answer is %s, the server's %s", got, want)
	}
}

// judge compares the end with the server's own.
func (st story) judge(s *scene, ours error) {
	s.t.Helper()
	before := s.image(1)
	native := s.native(st.session, st.alter)
	fails := st.fails
	if s.flavor == st.elsewhere {
		fails = st.failsElsewhere
	}
	if mysqld.Number(native) != fails {
		s.t.Errorf("the server's own ALTER gives %v, want error %d", native, fails)
	}
	if s.refusedToday() {
		if !isError(ours, 1846) {
			s.t.Errorf("refused no more: %v. Take it out of refusedToday", ours)
		}
		s.untouched(before)
		return
	}
	s.sameError(ours, native, st.loose)
	if ours != nil || native != nil {
		s.untouched(before)
		return
	}
	s.same(st.differ)
	if st.check != "" {
		if got, want := s.asked(0, st.check), s.asked(1, st.check); !slices.Equal(got, want) {
			s.t.Errorf("%s: %q, the server's %q", st.check, got, want)
		}
	}
	s.nothingLeft(true)
}
