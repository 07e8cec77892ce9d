package intercept_test

import (
	"fmt"
	"strings"
	"testing"

	"midflight/internal/testmysql"
)

// A conversation is had twice, directly with the server and through Midflight,
// on equal databases; what is answered, and what the tables are afterwards,
// must be the same. {db} stands for the database.
type conversation struct {
	name   string
	setup  []string // root's
	grants []string // makes the session that of a user with these privileges: "SELECT ON t"
	nobase bool     // the session has no current database
	params string   // of the driver
	say    []string
	only   testmysql.Flavor // "" is both
	ours   int              // how many of the statements the engine must have got
	// SIGNAL makes warnings and errors, but no notes: they come as warnings.
	notes bool
}

const tableT = "CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(20) DEFAULT 'x', KEY by_v (v))"

var rowsT = []string{tableT, "INSERT INTO t VALUES (1, 'one'), (2, 'two'), (3, 'three')"}

var conversations = []conversation{
	{name: "no such table", say: []string{
		"ALTER TABLE nowhere ADD COLUMN a INT", "SHOW WARNINGS", "ALTER TABLE {db}.nowhere DROP COLUMN a",
		"CREATE INDEX i ON nowhere (a)", "DROP INDEX i ON nowhere", "OPTIMIZE TABLE nowhere", "SELECT 1"}},
	{name: "view", setup: []string{tableT, "CREATE VIEW w AS SELECT * FROM t"}, say: []string{
		"ALTER TABLE w ADD COLUMN a INT", "SHOW WARNINGS", "CREATE INDEX i ON w (id)", "DROP INDEX i ON w", "OPTIMIZE TABLE w"}},
	{name: "syntax", setup: rowsT, say: []string{
		"ALTER TABLE", "ALTER TABLE t ADD COLUMN", "SHOW WARNINGS", "ALTER TABLE t FROBNICATE", "ALTER TABLE t ADD COLUMN a INT)",
		"ALTER TABLE t ADD COLUMN `a INT", "ALTER TABLE t ADD COLUMN a INT COMMENT 'x", "CREATE INDEX i ON", "DROP INDEX ON t",
		"OPTIMIZE TABLE", "ALTER TABLE t ADD COLUMN a INT; SELECT 1", "ALTER TABLE t ADD a INT /* open", "ALTER TABLE t. ADD a INT",
		"ALTER TABLE t ADD a INT, ALGORITHM=SOMEHOW", "ALTER TABLE t ADD a INT, LOCK=MAYBE"}},
	{name: "the statement's own errors", setup: rowsT, ours: 9, say: []string{
		"ALTER TABLE t ADD COLUMN v INT", "SHOW WARNINGS", "SHOW ERRORS", "ALTER TABLE t DROP COLUMN nothing", "ALTER TABLE t MODIFY nothing INT",
		"ALTER TABLE t DROP INDEX nothing", "ALTER TABLE t ADD COLUMN a INT DEFAULT 'x'", "ALTER TABLE t ADD INDEX i (nothing)",
		"CREATE INDEX by_v ON t (v)", "DROP INDEX nothing ON t", "ALTER TABLE t ADD PRIMARY KEY (v)", "SELECT @@warning_count, @@error_count"}},
	{name: "the rows' own errors", setup: append(rowsT, "CREATE TABLE n (id INT PRIMARY KEY, a INT, b INT)",
		"INSERT INTO n VALUES (1, 1, NULL), (2, 1, 70000)"), ours: 5, say: []string{
		"ALTER TABLE t MODIFY v VARCHAR(3)", "SHOW WARNINGS", "ALTER TABLE n ADD UNIQUE a (a)", "SHOW WARNINGS",
		"ALTER TABLE n MODIFY b SMALLINT", "ALTER TABLE n MODIFY b INT NOT NULL", "ALTER TABLE t MODIFY v INT"}},
	{name: "no database", nobase: true, setup: rowsT, ours: 1, say: []string{
		"ALTER TABLE t ADD COLUMN a INT", "SHOW WARNINGS", "CREATE INDEX i ON t (v)", "DROP INDEX i ON t", "OPTIMIZE TABLE t",
		"ALTER TABLE {db}.t ADD COLUMN a INT"}},
	{name: "unknown database", say: []string{
		"ALTER TABLE there_is_none.t ADD COLUMN a INT", "SHOW WARNINGS", "CREATE INDEX i ON there_is_none.t (a)", "OPTIMIZE TABLE there_is_none.t"}},

	{name: "no privilege at all", setup: rowsT, grants: []string{"SELECT ON {db}.t2"}, say: []string{
		"ALTER TABLE t ADD COLUMN a INT", "SHOW WARNINGS", "CREATE INDEX i ON t (v)", "DROP INDEX by_v ON t", "OPTIMIZE TABLE t",
		"ALTER TABLE nowhere ADD COLUMN a INT"}},
	{name: "may read only", setup: rowsT, grants: []string{"SELECT ON {db}.*", "INSERT ON {db}.*"}, say: []string{
		"ALTER TABLE t ADD COLUMN a INT", "SHOW WARNINGS", "ALTER TABLE {db}.t DROP COLUMN v", "CREATE INDEX i ON t (v)",
		"DROP INDEX by_v ON t", "ALTER TABLE t FROBNICATE"}},
	{name: "ALTER alone", setup: rowsT, grants: []string{"ALTER ON {db}.t"}, say: []string{
		"ALTER TABLE t ADD COLUMN a INT", "CREATE INDEX i ON t (v)", "DROP INDEX by_v ON t", "OPTIMIZE TABLE t"}},
	{name: "ALTER without INDEX", setup: rowsT, grants: []string{"ALTER, CREATE, INSERT ON {db}.*"}, ours: 2, say: []string{
		"CREATE INDEX i ON t (v)", "DROP INDEX by_v ON t", "ALTER TABLE t ADD INDEX j (v)", "ALTER TABLE t ADD COLUMN a INT"}},
	{name: "INDEX alone", setup: rowsT, grants: []string{"INDEX ON {db}.t"}, ours: 2, say: []string{
		"CREATE INDEX i ON t (v)", "DROP INDEX by_v ON t", "ALTER TABLE t ADD COLUMN a INT", "ALTER TABLE t ADD INDEX j (v)"}},
	{name: "columns' privileges", setup: rowsT, grants: []string{"SELECT (id), INSERT (id), UPDATE (id) ON {db}.t"}, say: []string{
		"ALTER TABLE t ADD COLUMN a INT", "CREATE INDEX i ON t (v)", "OPTIMIZE TABLE t", "DROP INDEX by_v ON t"}},
	{name: "DROP is wanted for some", setup: rowsT, grants: []string{"ALTER, CREATE, INSERT ON {db}.t"}, say: []string{
		"ALTER TABLE t RENAME TO u", "ALTER TABLE t RENAME TO midflight.t"}},

	{name: "temporary table", setup: rowsT, ours: 1, say: []string{
		"CREATE TEMPORARY TABLE t (id INT PRIMARY KEY, mine INT)", "INSERT INTO t VALUES (7, 7)",
		"ALTER TABLE t ADD COLUMN a INT DEFAULT 5", "CREATE INDEX i ON t (mine)", "SELECT * FROM t", "DROP INDEX i ON t",
		"DROP TEMPORARY TABLE t", "ALTER TABLE t ADD COLUMN b INT", "SELECT * FROM t"}},
	{name: "LOCK TABLES", setup: append(rowsT, "CREATE TABLE u (id INT PRIMARY KEY)"), ours: 1, say: []string{
		"LOCK TABLES t WRITE", "ALTER TABLE t ADD COLUMN a INT", "ALTER TABLE u ADD COLUMN a INT", "SHOW WARNINGS", "SELECT * FROM t", "UNLOCK TABLES",
		"LOCK TABLES t READ", "ALTER TABLE t ADD COLUMN b INT", "SHOW WARNINGS", "UNLOCK TABLES", "ALTER TABLE t ADD COLUMN c INT"}},
	{name: "transaction", setup: rowsT, ours: 2, say: []string{
		"START TRANSACTION", "INSERT INTO t VALUES (10, 'ten')", "ALTER TABLE t ADD COLUMN a INT", "INSERT INTO t VALUES (11, 'eleven', 1)", "ROLLBACK", "SELECT * FROM t",
		"SET autocommit = 0", "INSERT INTO t VALUES (12, 'twelve', 2)", "ALTER TABLE t MODIFY a BIGINT", "INSERT INTO t VALUES (13, 'no', 3)", "ROLLBACK", "SELECT * FROM t"}},
	{name: "transaction, refused", setup: rowsT, ours: 1, say: []string{
		"START TRANSACTION", "INSERT INTO t VALUES (10, 'ten')", "ALTER TABLE t DROP COLUMN nothing", "ROLLBACK", "SELECT * FROM t",
		"START TRANSACTION", "INSERT INTO t VALUES (11, 'eleven')", "ALTER TABLE nowhere ADD COLUMN a INT", "ROLLBACK", "SELECT * FROM t",
		"START TRANSACTION", "INSERT INTO t VALUES (12, 'twelve')", "ALTER TABLE t FROBNICATE", "ROLLBACK", "SELECT * FROM t"}},
	{name: "read-only transaction", setup: rowsT, say: []string{
		"START TRANSACTION READ ONLY", "SELECT * FROM t", "ALTER TABLE t ADD COLUMN a INT", "SHOW WARNINGS", "ROLLBACK"}},

	{name: "comments and ends", setup: rowsT, ours: 9, say: []string{
		"/*!50000 ALTER TABLE t ADD COLUMN a INT */", "/* first */ ALTER TABLE t ADD COLUMN b INT", "-- first\nALTER TABLE t ADD COLUMN c INT",
		"# first\n \t\r\nALTER TABLE t ADD COLUMN d INT;", "ALTER TABLE t ADD COLUMN e INT ; ", "ALTER/**/TABLE/**/t/**/ADD/**/f/**/INT",
		"alter table t add g int -- last", "ALTER TABLE t /*! ADD COLUMN h INT */", "/*!99999 nothing */ ALTER TABLE t ADD i INT", "SELECT * FROM t"}},
	{name: "names", ours: 7, setup: []string{"CREATE TABLE `a b` (id INT PRIMARY KEY)", "CREATE TABLE `q``q` (id INT PRIMARY KEY)", "CREATE TABLE `Größe` (id INT PRIMARY KEY)",
		"CREATE TABLE `select` (id INT PRIMARY KEY)", "CREATE TABLE `1e5` (id INT PRIMARY KEY)", "CREATE TABLE `a.b` (id INT PRIMARY KEY)"}, say: []string{
		"ALTER TABLE `a b` ADD COLUMN `c``d` INT", "ALTER TABLE `q``q` ADD COLUMN a INT", "ALTER TABLE Größe ADD COLUMN länge INT", "ALTER TABLE {db}.select ADD COLUMN a INT",
		"ALTER TABLE `{db}` . `1e5` ADD a INT", "ALTER TABLE {db}.`a.b` ADD a INT", "ALTER TABLE `{db}.t` ADD a INT", "CREATE INDEX `i i` ON `a b` (`c``d`)"}},
	{name: "ANSI_QUOTES", setup: rowsT, ours: 3, say: []string{
		"ALTER TABLE \"t\" ADD COLUMN a INT", "SET sql_mode = CONCAT(@@sql_mode, ',ANSI_QUOTES')", `ALTER TABLE "t" ADD COLUMN "b c" VARCHAR(9) DEFAULT 'it''s'`,
		`ALTER TABLE "{db}"."t" ADD COLUMN d INT`, `CREATE INDEX "i" ON "t" ("b c")`, `ALTER TABLE "no" ADD COLUMN d INT`}},
	{name: "NO_BACKSLASH_ESCAPES", setup: rowsT, ours: 2, say: []string{
		`ALTER TABLE t ADD COLUMN a VARCHAR(9) DEFAULT '\';' COMMENT 'a\\b'`, "SET sql_mode = CONCAT(@@sql_mode, ',NO_BACKSLASH_ESCAPES')",
		`ALTER TABLE t ADD COLUMN b VARCHAR(9) DEFAULT '\' COMMENT 'a\\b'`, "SELECT * FROM t"}},
	{name: "the session's mode decides", setup: append(rowsT, "CREATE TABLE n (id INT PRIMARY KEY, b INT)", "INSERT INTO n VALUES (1, 70000), (2, NULL)"), ours: 4, say: []string{
		"ALTER TABLE n MODIFY b SMALLINT", "SET sql_mode = ''", "ALTER TABLE n MODIFY b SMALLINT", "ALTER TABLE n MODIFY b SMALLINT NOT NULL", "SELECT * FROM n",
		"ALTER TABLE t MODIFY v VARCHAR(3)", "SELECT * FROM t"}},
	{name: "latin1", setup: rowsT, params: "charset=latin1", ours: 2, say: []string{
		"ALTER TABLE t ADD COLUMN a VARCHAR(9) DEFAULT 'plain'", "ALTER TABLE t MODIFY v VARCHAR(30) COMMENT 'plain'", "ALTER TABLE t ADD COLUMN b VARCHAR(9) DEFAULT 'stra\xdfe'",
		"ALTER TABLE nowhere ADD COLUMN stra\xdfe INT", "SELECT * FROM t"}},
	{name: "SET NAMES in the session", setup: rowsT, say: []string{
		"SET NAMES latin1", "ALTER TABLE t ADD COLUMN b VARCHAR(9) DEFAULT 'stra\xdfe'", "SELECT HEX(b) FROM t"}},
	{name: "warnings", only: testmysql.MySQL, setup: rowsT, ours: 3, say: []string{
		"ALTER TABLE t ADD COLUMN a INT(11)", "SHOW WARNINGS", "SHOW COUNT(*) WARNINGS", "ALTER TABLE t ADD COLUMN b FLOAT(7,3)", "SHOW WARNINGS",
		"ALTER TABLE t ADD INDEX twice (v)", "SHOW WARNINGS", "SELECT 1", "SHOW WARNINGS"}},
	{name: "notes", only: testmysql.MariaDB, notes: true, setup: rowsT, say: []string{
		"ALTER TABLE t ADD COLUMN IF NOT EXISTS v INT", "SHOW WARNINGS", "ALTER TABLE IF EXISTS nowhere ADD a INT", "SHOW WARNINGS",
		"ALTER TABLE t ADD INDEX twice (v)", "SHOW WARNINGS", "DROP INDEX IF EXISTS nothing ON t", "SHOW WARNINGS", "ALTER TABLE t WAIT 5 ADD COLUMN a INT"}},
	{name: "system tables", grants: []string{"SELECT ON *.*"}, say: []string{
		"ALTER TABLE mysql.user ADD COLUMN a INT", "ALTER TABLE midflight.migrations ADD COLUMN a INT", "ALTER TABLE information_schema.tables ADD COLUMN a INT",
		"ALTER TABLE performance_schema.threads ADD COLUMN a INT", "CREATE INDEX i ON mysql.user (user)"}},
	{name: "not ours", setup: append(rowsT, "CREATE TABLE p (id INT PRIMARY KEY) PARTITION BY HASH (id) PARTITIONS 2"), say: []string{
		"ALTER TABLE t RENAME TO u", "ALTER TABLE u ADD COLUMN a INT, RENAME AS t", "ALTER TABLE p ADD PARTITION PARTITIONS 2", "ALTER DATABASE {db} CHARACTER SET latin1", "ALTER VIEW nothing AS SELECT 1",
		"CREATE UNIQUE INDEX", "CREATE TABLE t (a INT)", "ALTER TABLE t DISABLE KEYS", "ALTER TABLE t ADD COLUMN b INT, LOCK=EXCLUSIVE", "OPTIMIZE TABLE t, p"}},
	{name: "what the session counts", setup: append(rowsT, "CREATE TABLE a (id INT PRIMARY KEY AUTO_INCREMENT, n INT)"), ours: 10, say: counted(
		"ALTER TABLE t ADD COLUMN a INT", "ALTER TABLE t ADD COLUMN b INT FIRST", "ALTER TABLE t ADD INDEX (a)", "ALTER TABLE t FORCE", "ALTER TABLE t ENGINE=InnoDB",
		"ALTER TABLE t COMMENT 'x'", "CREATE INDEX i ON t (v)", "DROP INDEX i ON t", "ALTER TABLE t DROP COLUMN nothing", "ALTER TABLE t", "ALTER TABLE t ALGORITHM=INPLACE",
		"ALTER TABLE t FROBNICATE", "ALTER TABLE nowhere ADD COLUMN a INT", "ALTER TABLE t ADD INDEX twice (a)", "ALTER TABLE t RENAME COLUMN a TO c, ALGORITHM=INPLACE")},
	{name: "what the server would count", setup: rowsT, ours: 6, say: []string{
		"ALTER TABLE t MODIFY v VARCHAR(300) CHARACTER SET latin1", "ALTER TABLE t ADD COLUMN a INT FIRST, ALGORITHM=COPY", "ALTER TABLE t ADD FULLTEXT (v)", "ALTER TABLE t ENGINE=InnoDB",
		"ALTER TABLE t DROP PRIMARY KEY, ADD PRIMARY KEY (id, v)", "ALTER TABLE t MODIFY id BIGINT"}},
	{name: "the old way of altering", only: testmysql.MySQL, setup: rowsT, ours: 1, say: []string{"SET old_alter_table = 1", "ALTER TABLE t ADD INDEX (id)", "ALTER TABLE t ADD INDEX (id, v), ALGORITHM=INPLACE"}},
	{name: "many rows found", setup: rowsT, ours: 2, say: []string{
		"SELECT 1 FROM t a JOIN t b JOIN t c", "ALTER TABLE t ADD COLUMN a INT", "SELECT FOUND_ROWS()", "SELECT 1 FROM t WHERE id < 0", "ALTER TABLE t ADD COLUMN b INT", "SELECT FOUND_ROWS()"}},
	{name: "small tables", setup: []string{"CREATE TABLE k (a INT, b INT)", "INSERT INTO k VALUES (1, 1), (1, NULL)", "CREATE TABLE p (id INT PRIMARY KEY)",
		"CREATE TABLE f (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES p (id))", "CREATE TABLE g (id INT PRIMARY KEY, b INT)", "CREATE TRIGGER tr BEFORE INSERT ON g FOR EACH ROW SET NEW.b = 1",
		"CREATE TABLE m (a INT) ENGINE=MyISAM", "INSERT INTO m VALUES (1)", "CREATE TABLE h (id INT PRIMARY KEY, b INT, CONSTRAINT positive CHECK (b > 0))"}, ours: 10, say: []string{
		"ALTER TABLE k MODIFY b BIGINT", "ALTER TABLE k MODIFY b INT NOT NULL", "SHOW WARNINGS", "ALTER TABLE k ADD UNIQUE (a)", "ALTER TABLE k ADD COLUMN id INT AUTO_INCREMENT PRIMARY KEY FIRST", "SELECT * FROM k",
		"ALTER TABLE m ENGINE=InnoDB", "ALTER TABLE f MODIFY id BIGINT", "ALTER TABLE p MODIFY id BIGINT", "ALTER TABLE g MODIFY b BIGINT", "INSERT INTO g VALUES (1, 2)", "SELECT * FROM g",
		"ALTER TABLE h MODIFY b BIGINT", "ALTER TABLE h ADD CONSTRAINT small CHECK (b < 7)", "ALTER TABLE f DROP PRIMARY KEY, ADD COLUMN x INT", "OPTIMIZE TABLE f"}},
	{name: "checks by name", setup: []string{"CREATE TABLE h (id INT PRIMARY KEY, b INT, CONSTRAINT positive CHECK (b > 0), CONSTRAINT small CHECK (b < 7), CONSTRAINT one UNIQUE (b), CHECK (id > 0))"}, say: []string{
		"ALTER TABLE h DROP CONSTRAINT positive", "ALTER TABLE h DROP CONSTRAINT nothing", "ALTER TABLE h DROP CONSTRAINT one", "ALTER TABLE h DROP CHECK small", "ALTER TABLE h ALTER CHECK small NOT ENFORCED"}},
	{name: "foreign key by the name of a constraint", setup: []string{"CREATE TABLE p (id INT PRIMARY KEY)", "CREATE TABLE f (id INT PRIMARY KEY, p INT, CONSTRAINT fk FOREIGN KEY (p) REFERENCES p (id))"}, say: []string{
		"ALTER TABLE f ALTER CONSTRAINT fk NOT ENFORCED", "ALTER TABLE f DROP CONSTRAINT fk", "ALTER TABLE f DROP CONSTRAINT fk"}},
	{name: "subquery in an expression", setup: rowsT, say: []string{
		"ALTER TABLE t ADD COLUMN z INT AS (1 NOT IN (SELECT 1 FROM t WHERE id)) VIRTUAL", "ALTER TABLE t ADD COLUMN z INT AS (1 NOT IN (SELECT 1 FROM nowhere WHERE id)) VIRTUAL"}},
	{name: "warnings of rows", setup: []string{"CREATE TABLE l (id INT PRIMARY KEY, e ENUM('a','b'), v VARCHAR(10), n INT, j INT)", "INSERT INTO l VALUES (1, 'b', '2x', NULL, 5), (2, 'a', '5', NULL, NULL), (3, 'b', 'zz', 1000, -1)"}, say: []string{
		"SET sql_mode = ''", "ALTER TABLE l MODIFY e ENUM('x')", "SHOW WARNINGS", "ALTER TABLE l MODIFY v INT", "SHOW WARNINGS", "ALTER TABLE l MODIFY n TINYINT NOT NULL", "SHOW WARNINGS", "SELECT @@warning_count",
		"ALTER TABLE l MODIFY j JSON", "SHOW WARNINGS", "SELECT * FROM l"}},
	{name: "warnings of copied rows", notes: true, setup: []string{"CREATE TABLE l (id INT PRIMARY KEY, e ENUM('a','b'), v VARCHAR(10), n INT, d DECIMAL(5,2), w VARCHAR(9))", "INSERT INTO l VALUES (1, 'b', '1', NULL, 1.5, 'x'), (2, 'a', '2x', NULL, 2.25, 'x   '), (3, 'b', '3', 1000, 3, 'x')"}, ours: 7, say: []string{
		"SET @midflight_strategy = 'copy'", "ALTER TABLE l MODIFY d DECIMAL(5,1)", "SHOW WARNINGS", "ALTER TABLE l MODIFY w VARCHAR(1)", "SHOW WARNINGS",
		"SET sql_mode = ''", "ALTER TABLE l MODIFY v INT", "SHOW WARNINGS", "ALTER TABLE l MODIFY e ENUM('x')", "ALTER TABLE l MODIFY n TINYINT NOT NULL", "SELECT * FROM l",
		"SET max_error_count = 1", "ALTER TABLE l MODIFY n CHAR(1) NOT NULL", "SHOW WARNINGS", "SET max_error_count = 0", "ALTER TABLE l MODIFY v CHAR(0)"}},
	{name: "statistics", setup: []string{"CREATE TABLE s (id INT PRIMARY KEY AUTO_INCREMENT, v INT, KEY (v))", "INSERT INTO s VALUES (1, 1), (2, 2), (3, 3), (4, 4)"}, ours: 2, say: []string{
		"ALTER TABLE s MODIFY v BIGINT", statistics, "INSERT INTO s VALUES (100, 5), (101, 6)", "ALTER TABLE s ADD COLUMN x INT FIRST", statistics}},
	{name: "a number that was not asked for", setup: []string{"CREATE TABLE s (id INT PRIMARY KEY AUTO_INCREMENT, v INT)", "INSERT INTO s VALUES (1, 1)"}, ours: 1, say: []string{
		"ALTER TABLE s ADD COLUMN y INT", "INSERT INTO s (id) VALUES (100)", "SELECT auto_increment FROM information_schema.tables WHERE table_schema = '{db}' AND table_name = 's'"}},
	{name: "statistics that were asked for", setup: []string{"CREATE TABLE s (id INT PRIMARY KEY AUTO_INCREMENT, v INT, KEY (v))", "INSERT INTO s VALUES (1, 1), (2, 2), (3, 3), (4, 4)"}, ours: 2, say: []string{
		"ANALYZE TABLE s", statistics, "INSERT INTO s VALUES (100, 5), (101, 6)", "ALTER TABLE s MODIFY v BIGINT", statistics, "ALTER TABLE s ADD COLUMN x INT FIRST", statistics}},
	{name: "OPTIMIZE", setup: rowsT, ours: 1, say: []string{"OPTIMIZE TABLE t", "OPTIMIZE LOCAL TABLE {db}.t", "SHOW WARNINGS", "SELECT * FROM t"}},
}

const statistics = "SELECT t.table_rows AS n, t.auto_increment AS a, GROUP_CONCAT(s.cardinality ORDER BY s.index_name) AS c FROM information_schema.tables t JOIN information_schema.statistics s USING (table_schema, table_name) WHERE t.table_schema = '{db}' AND t.table_name = 's' GROUP BY 1, 2"

// counted puts questions about a session's counters behind each statement.
func counted(statements ...string) []string {
	var say []string
	for _, s := range statements {
		say = append(say, "INSERT INTO a (n) VALUES (1), (2)", "SELECT id FROM a LIMIT 2", s, "SELECT ROW_COUNT(), FOUND_ROWS(), LAST_INSERT_ID()")
	}
	return say
}

// Whose it is that evaluates an expression must not change: what the user may
// not do, and what is the session's, the engine's account must not do for it.
// The ways to hide a word from whoever looks for it are tried one by one.
var whose = []conversation{
	{name: "names of functions", setup: rowsT, say: []string{
		"ALTER TABLE t ADD COLUMN a BIGINT DEFAULT (CONNECTION_ID())", "SELECT a = CONNECTION_ID() FROM t",
		"ALTER TABLE t ADD COLUMN b VARCHAR(99) DEFAULT (CURRENT_USER())", "SELECT b FROM t",
		"ALTER TABLE t ADD COLUMN c VARCHAR(99) DEFAULT (DATABASE())", "SELECT c FROM t",
		"ALTER TABLE t ADD COLUMN d VARCHAR(99) DEFAULT (LOAD_FILE('/etc/hostname'))", "ALTER TABLE t ADD COLUMN e VARCHAR(99) DEFAULT (USER())", "SELECT e FROM t",
		"ALTER TABLE t ADD COLUMN f BIGINT DEFAULT (LAST_INSERT_ID())", "ALTER TABLE t ADD COLUMN g INT DEFAULT (@secret)", "ALTER TABLE t ADD COLUMN h INT DEFAULT (@@pseudo_thread_id)"}},
	{name: "quoted name", setup: rowsT, say: []string{"ALTER TABLE t ADD COLUMN a BIGINT DEFAULT (`connection_id`())", "SELECT a = CONNECTION_ID() FROM t"}},
	{name: "apostrophe in a comment", setup: rowsT, say: []string{"ALTER TABLE t ADD COLUMN a BIGINT /* ' */ DEFAULT (CONNECTION_ID()) /* ' */", "SELECT a = CONNECTION_ID() FROM t"}},
	{name: "apostrophe in a line comment", setup: rowsT, say: []string{"ALTER TABLE t ADD COLUMN a BIGINT -- it's\n DEFAULT (CONNECTION_ID()) # it's", "SELECT a = CONNECTION_ID() FROM t"}},
	{name: "apostrophe in a string", setup: rowsT, say: []string{"ALTER TABLE t ADD COLUMN a BIGINT COMMENT \"it's\" DEFAULT (CONNECTION_ID())", "SELECT a = CONNECTION_ID() FROM t"}},
	{name: "backslash", setup: rowsT, say: []string{"SET sql_mode = 'NO_BACKSLASH_ESCAPES'",
		`ALTER TABLE t ADD COLUMN a BIGINT COMMENT '\' DEFAULT (CONNECTION_ID()) COMMENT 'x'`, "SELECT a = CONNECTION_ID() FROM t"}},
	{name: "version comment", setup: rowsT, say: []string{"ALTER TABLE t ADD COLUMN a BIGINT DEFAULT /*!50000 (CONNECTION_ID()) */", "SELECT a = CONNECTION_ID() FROM t"}},
	{name: "default set and dropped", setup: rowsT, say: []string{"ALTER TABLE t ALTER COLUMN v SET DEFAULT (CURRENT_USER())", "INSERT INTO t (id) VALUES (50)", "SELECT * FROM t"}},
	{name: "generated column", setup: rowsT, say: []string{"ALTER TABLE t ADD COLUMN a VARCHAR(99) AS (CURRENT_USER()) STORED", "ALTER TABLE t ADD COLUMN b BIGINT AS (CONNECTION_ID()) VIRTUAL", "ALTER TABLE t ADD COLUMN b BIGINT AS (CONNECTION_ID()) STORED"}},
	{name: "directories", setup: rowsT, grants: []string{"ALL ON {db}.*"}, say: []string{
		"ALTER TABLE t DATA DIRECTORY = '/tmp'", "ALTER TABLE t ADD COLUMN a INT, DATA DIRECTORY = '/tmp'", "ALTER TABLE t TABLESPACE innodb_system",
		"ALTER TABLE t PARTITION BY RANGE (id) (PARTITION p0 VALUES LESS THAN (100) DATA DIRECTORY '/tmp')"}},
	{name: "another's table", setup: append(rowsT, "CREATE DATABASE IF NOT EXISTS whose_secret", "CREATE TABLE IF NOT EXISTS whose_secret.s (id INT PRIMARY KEY)"), grants: []string{"ALL ON {db}.*"}, say: []string{
		"ALTER TABLE t RENAME TO whose_secret.t", "ALTER TABLE t ADD FOREIGN KEY (id) REFERENCES whose_secret.s (id)",
		"ALTER TABLE whose_secret.s ADD COLUMN a INT", "ALTER TABLE t ADD COLUMN a INT DEFAULT (SELECT MAX(id) FROM whose_secret.s)"}},
	{name: "storage engines", setup: rowsT, grants: []string{"ALL ON {db}.*"}, say: []string{
		"ALTER TABLE t ENGINE = InnoDB", "ALTER TABLE t ENGINE = MyISAM", "ALTER TABLE t ENGINE = Nonsense", "ALTER TABLE t CONNECTION = 'x'", "ALTER TABLE t UNION = (t)"}},
}

func TestAnswersAreTheServers(t *testing.T) {
	each(t, func(t *testing.T, p place) {
		for _, c := range conversations {
			t.Run(c.name, func(t *testing.T) { c.compare(t, p) })
		}
	})
}

func TestExpressionsStayTheUsers(t *testing.T) {
	each(t, func(t *testing.T, p place) {
		for _, c := range whose {
			t.Run(c.name, func(t *testing.T) { c.compare(t, p) })
		}
		p.exec("DROP DATABASE IF EXISTS whose_secret")
	})
}

func (c conversation) compare(t *testing.T, p place) {
	if c.only != "" && c.only != p.s.Flavor {
		t.Skipf("is about %s", c.only)
	}
	p.t = t
	want := c.have(t, p, p.s.Addr)
	before := p.value("SELECT COUNT(*) FROM midflight.migrations")
	got := c.have(t, p, p.m.Addr)
	after := p.value("SELECT COUNT(*) FROM midflight.migrations")
	var from, to int
	fmt.Sscan(before, &from)
	fmt.Sscan(after, &to)
	if c.ours > to-from {
		t.Errorf("the engine got %d of the statements, want %d", to-from, c.ours)
	}
	for i := range want {
		if c.notes {
			want[i] = strings.ReplaceAll(want[i], "Note |", "Warning |")
		}
		// A condition's text has 128 characters at most.
		if head, cut := strings.CutSuffix(got[i], "...\n  OK"); cut && strings.HasPrefix(want[i], head) {
			continue
		}
		if got[i] != want[i] {
			t.Errorf("the server's own:\n%s\nthrough Midflight:\n%s", want[i], got[i])
		}
	}
	p.nothingLeft()
}

// have has the conversation in a fresh database, and describes the tables that
// come out of it.
func (c conversation) have(t *testing.T, p place, addr string) []string {
	t.Helper()
	p.exec("DROP DATABASE "+p.db, "CREATE DATABASE "+p.db, "USE "+p.db)
	p.exec(c.setup...)
	user := ""
	if len(c.grants) > 0 {
		user = "talker"
		p.exec("DROP USER IF EXISTS talker@'%'", "CREATE USER talker@'%'")
		for _, g := range c.grants {
			if strings.Contains(g, "{db}.t2") {
				p.exec("CREATE TABLE t2 (id INT)")
			}
			p.exec(strings.ReplaceAll("GRANT "+g+" TO talker@'%'", "{db}", p.db))
		}
		defer p.exec("DROP USER talker@'%'")
	}
	db := p.db
	if c.nobase || len(c.grants) > 0 { // a user without privileges may not enter it
		db = ""
	}
	client := dial(t, addr, user, db, c.params)
	defer client.leave()
	var said []string
	if len(c.grants) > 0 {
		said = append(said, "USE: "+client.say("USE "+p.db))
	}
	for _, q := range c.say {
		q = strings.ReplaceAll(q, "{db}", p.db)
		a := client.say(q)
		oks := client.rec.oks()
		flag := ""
		if len(oks) > 0 && oks[len(oks)-1].inTransaction {
			flag = " (in a transaction)"
		}
		if len(oks) > 0 {
			last := oks[len(oks)-1]
			flag += fmt.Sprintf(" (%d rows, %d warnings: %s)", last.affected, last.warnings, last.info)
		}
		said = append(said, q+"\n  "+strings.ReplaceAll(a, "\n", "\n  ")+flag)
	}
	for _, name := range strings.Fields(strings.ReplaceAll(p.value("SELECT GROUP_CONCAT(table_name ORDER BY table_name SEPARATOR '\n') FROM information_schema.tables WHERE table_schema = DATABASE()"), " ", "\u00a0")) {
		name = "`" + strings.ReplaceAll(strings.ReplaceAll(name, "\u00a0", " "), "`", "``") + "`"
		said = append(said, p.say("SHOW CREATE TABLE "+name))
	}
	return said
}
