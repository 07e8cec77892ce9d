package privileges

import (
	"context"
	"database/sql"
	"regexp"
	"strings"
	"testing"

	"midflight/internal/testmysql"
)

// An attack is tried by eve twice, directly and through Midflight, on equal databases:
// what she is told, and what the databases are afterwards, must be the same. Hers is
// `eve`, not hers is `vault`.
type attack struct {
	name   string
	setup  []string // root's, in eve
	grants []string // beyond what is common; "": see common
	only   testmysql.Flavor
	say    []string
	// stay: the engine must not have got any of them: the server decides.
	stay bool
}

const (
	tableT = "CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(20), KEY by_v (v))"
	rowsT  = "INSERT INTO t VALUES (1, 'one'), (2, 'two'), (3, 'three')"
)

var all = []string{"ALL ON eve.*"}

var attacks = []attack{
	// What each clause needs.
	{name: "not without ALTER, CREATE and INSERT", grants: []string{"SELECT, INSERT, UPDATE, DELETE, CREATE ON eve.*"}, stay: true, say: []string{
		"ALTER TABLE t ADD COLUMN a INT", "ALTER TABLE t COMMENT 'x'", "ALTER TABLE t FORCE", "CREATE INDEX i ON t (v)", "DROP INDEX by_v ON t", "ALTER TABLE t ADD COLUMN a INT, ALGORITHM=INSTANT"}},
	{name: "ALTER on the table alone", grants: []string{"ALTER ON eve.t"}, say: []string{"ALTER TABLE t ADD COLUMN a INT", "OPTIMIZE TABLE t", "CREATE INDEX i ON t (v)"}},
	{name: "ALTER and INSERT", grants: []string{"ALTER, INSERT ON eve.*"}, say: []string{"ALTER TABLE t ADD COLUMN a INT"}},
	{name: "ALTER and CREATE", grants: []string{"ALTER, CREATE ON eve.*"}, say: []string{"ALTER TABLE t ADD COLUMN a INT"}},
	{name: "on the table", grants: []string{"ALTER, CREATE, INSERT ON eve.t"}, say: []string{"ALTER TABLE t ADD COLUMN a INT", "CREATE INDEX i ON t (v)", "ALTER TABLE t DROP COLUMN v"}},
	{name: "INDEX alone", grants: []string{"INDEX ON eve.t"}, say: []string{"CREATE INDEX i ON t (v, id)", "DROP INDEX by_v ON t", "ALTER TABLE t ADD INDEX j (v)", "CREATE UNIQUE INDEX u ON t (v)"}},
	{name: "renamed to elsewhere", grants: all, stay: true, say: []string{"ALTER TABLE t RENAME TO vault.t", "ALTER TABLE t ADD COLUMN a INT, RENAME vault.t", "ALTER TABLE t RENAME = vault.t", "ALTER TABLE t RENAME AS `vault`.`t`"}},
	{name: "foreign keys", grants: all, stay: true, say: []string{"ALTER TABLE t ADD FOREIGN KEY (id) REFERENCES vault.words (id)", "ALTER TABLE t ADD COLUMN p INT REFERENCES vault.words (id)",
		"ALTER TABLE t ADD (p INT, CONSTRAINT x FOREIGN KEY (p) REFERENCES vault.words (id))", "ALTER TABLE t MODIFY id INT REFERENCES vault.words (id)"}},
	{name: "partitions", setup: []string{"CREATE TABLE p (id INT PRIMARY KEY) PARTITION BY RANGE (id) (PARTITION a VALUES LESS THAN (10), PARTITION b VALUES LESS THAN (20))"},
		grants: []string{"ALTER, CREATE, INSERT ON eve.*"}, stay: true, say: []string{"ALTER TABLE p EXCHANGE PARTITION a WITH TABLE vault.words", "ALTER TABLE p DROP PARTITION a", "ALTER TABLE p TRUNCATE PARTITION a"}},
	{name: "tablespaces and files", grants: all, stay: true, say: []string{"ALTER TABLE t DISCARD TABLESPACE", "ALTER TABLE t IMPORT TABLESPACE", "ALTER TABLE t DATA DIRECTORY = '/tmp'", "ALTER TABLE t ADD COLUMN a INT, INDEX DIRECTORY '/tmp'",
		"ALTER TABLE t PARTITION BY HASH (id) (PARTITION a DATA DIRECTORY '/tmp')", "ALTER TABLE t TABLESPACE innodb_system", "ALTER TABLE t ENCRYPTION = 'Y'", "ALTER TABLE t ENCRYPTED = YES"}},
	{name: "engines that reach elsewhere", grants: all, stay: true, say: []string{"ALTER TABLE t ENGINE = FEDERATED CONNECTION = 'mysql://root@127.0.0.1/vault/words'", "ALTER TABLE t ENGINE = MERGE UNION = (vault.words)",
		"ALTER TABLE t UNION = (vault.words)", "ALTER TABLE t ENGINE = CONNECT TABLE_TYPE = CSV FILE_NAME = '/etc/passwd'", "ALTER TABLE t ENGINE = CSV", "ALTER TABLE t /*! ENGINE = MRG_MyISAM UNION = (vault.words) */"}},
	{name: "OPTIMIZE", grants: []string{"SELECT ON eve.t"}, stay: true, say: []string{"OPTIMIZE TABLE t", "OPTIMIZE LOCAL TABLE eve.t", "OPTIMIZE TABLE vault.words"}},
	{name: "another's", grants: all, stay: true, say: []string{"ALTER TABLE vault.words ADD COLUMN a INT", "CREATE INDEX i ON vault.words (w)", "DROP INDEX i ON vault.words", "ALTER TABLE vault.nothing ADD COLUMN a INT",
		"DROP TABLE vault.words", "TRUNCATE vault.words", "RENAME TABLE vault.words TO eve.words", "CREATE TRIGGER eve.x BEFORE INSERT ON vault.words FOR EACH ROW SET @a = 1", "DROP TRIGGER vault.guard"}},
	{name: "Midflight's own", grants: all, stay: true, say: []string{"SELECT statement FROM midflight.migrations", "CALL midflight.cancel(1)", "CALL midflight.reveal(1)", "ALTER TABLE midflight.migrations ADD COLUMN a INT", "INSERT INTO midflight.tables VALUES ('vault', 'words', 1, NOW())",
		"CREATE DATABASE _midflight_7", "CREATE TABLE _midflight_7.t (id INT)", "SHOW CREATE PROCEDURE midflight.cancel"}},
	{name: "roles", setup: []string{"DROP ROLE IF EXISTS may_alter", "CREATE ROLE may_alter", "GRANT ALTER, CREATE, INSERT, SELECT ON eve.* TO may_alter", "GRANT may_alter TO eve@'%'"}, grants: []string{"SELECT ON eve.*"}, say: []string{
		"ALTER TABLE t ADD COLUMN a INT", "SET ROLE may_alter", "ALTER TABLE t ADD COLUMN a INT", "SET ROLE NONE", "ALTER TABLE t ADD COLUMN b INT"}},
	{name: "columns that may not be read", grants: []string{"ALTER, CREATE, INSERT ON eve.t", "SELECT (id) ON eve.t"}, say: []string{
		"SELECT v FROM t", "ALTER TABLE t MODIFY v INT", "SHOW WARNINGS", "ALTER TABLE t MODIFY v VARCHAR(3)", "ALTER TABLE t ADD CHECK (v <> 'two')", "ALTER TABLE t ADD COLUMN g VARCHAR(20) AS (v) STORED", "SELECT g FROM t",
		"ALTER TABLE t ADD UNIQUE ((LEFT(v, 1)))", "SET sql_mode = ''", "ALTER TABLE t MODIFY v VARCHAR(2)", "SHOW WARNINGS"}},

	// Expressions that read, or depend on who reads.
	{name: "sequences", only: testmysql.MariaDB, setup: []string{"CREATE OR REPLACE SEQUENCE vault.s START WITH 4711", "CREATE SEQUENCE mine"}, grants: all, stay: true, say: []string{
		"ALTER TABLE t ADD COLUMN a BIGINT DEFAULT (NEXT VALUE FOR vault.s)", "ALTER TABLE t ADD COLUMN a BIGINT DEFAULT (nextval(vault.s))", "ALTER TABLE t ADD COLUMN a BIGINT DEFAULT (lastval(vault.s))",
		"ALTER TABLE t ADD COLUMN a BIGINT DEFAULT (PREVIOUS VALUE FOR vault.s)", "SET sql_mode = 'ORACLE'",
		"ALTER TABLE t ADD COLUMN a NUMBER DEFAULT vault.s.nextval", "ALTER TABLE t ADD COLUMN a NUMBER DEFAULT vault.s.currval", `ALTER TABLE t ADD COLUMN a NUMBER DEFAULT "vault"."s".NEXTVAL`, "ALTER TABLE t ADD COLUMN b NUMBER DEFAULT mine.nextval"}},
	{name: "functions", setup: []string{"CREATE FUNCTION f() RETURNS INT DETERMINISTIC SQL SECURITY INVOKER RETURN 7"}, grants: all, say: []string{
		"ALTER TABLE t ADD COLUMN a INT DEFAULT (f())", "ALTER TABLE t ADD COLUMN a INT AS (eve.f()) STORED", "ALTER TABLE t ADD CHECK (eve.f() > 0)",
		"ALTER TABLE t ADD COLUMN a VARCHAR(50) DEFAULT (LOAD_FILE('/etc/hostname'))", "CREATE INDEX i ON t ((f()))"}},

	// Names and comments.
	{name: "names", setup: []string{"CREATE TABLE `t`` , vault``.``words WRITE --` (id INT PRIMARY KEY, v VARCHAR(20))", "CREATE TABLE `*/ DROP TABLE t; /*` (id INT PRIMARY KEY)", "CREATE TABLE `new\nline'\"\\` (id INT PRIMARY KEY)",
		"INSERT INTO `t`` , vault``.``words WRITE --` VALUES (1, 'x')", "CREATE TABLE `%s%d%!` (id INT PRIMARY KEY)"}, grants: all, say: []string{
		"ALTER TABLE `t`` , vault``.``words WRITE --` ADD COLUMN `a``b*/` INT, ADD INDEX `i``*/` (v)", "/*! SET */ @midflight_strategy = 'copy'", "SET @midflight_strategy = 'copy'", "ALTER TABLE `t`` , vault``.``words WRITE --` MODIFY `a``b*/` BIGINT COMMENT '*/ x ''/*'",
		"ALTER TABLE `*/ DROP TABLE t; /*` ADD COLUMN `'; DROP TABLE t -- ` INT DEFAULT 7", "ALTER TABLE `new\nline'\"\\` ADD COLUMN `\n\\'` VARCHAR(9) DEFAULT '\\'*/'", "ALTER TABLE `%s%d%!` ADD COLUMN `%s` INT COMMENT '%v'"}},
	{name: "comments", grants: all, say: []string{
		"ALTER TABLE t ADD COLUMN a INT /*!80000 , RENAME TO vault.t */", "ALTER TABLE t ADD COLUMN a INT /*M! , RENAME TO vault.t */", "ALTER TABLE t ADD COLUMN b INT /*!99999 , RENAME TO vault.t */", "ALTER TABLE t ADD COLUMN c INT /*!101100 , RENAME TO vault.t */",
		"ALTER TABLE t ADD COLUMN d INT /* /*! , RENAME TO vault.t */ , ADD COLUMN e INT", "ALTER TABLE t ADD COLUMN f INT -- \n, RENAME TO vault.t", "ALTER TABLE t ADD COLUMN f INT --, RENAME TO vault.t", "ALTER TABLE t ADD COLUMN g INT # */\n/*!, RENAME TO vault.t */",
		"ALTER TABLE /*!50000 vault.words */ /*!99999 t */ ADD COLUMN a INT", "ALTER TABLE t ADD COLUMN h INT COMMENT '/*' , RENAME TO vault.t -- */'", "ALTER/*! TABLE vault.words */ADD COLUMN a INT",
		"ALTER TABLE t ADD COLUMN j INT REFERENCES/*!*/ vault.words (id)", "ALTER TABLE t/*! ENGINE=MERGE*/UNION=(vault.words)"}},
	{name: "quotes by sql_mode", grants: all, say: []string{
		"SET sql_mode = 'ANSI_QUOTES'", `ALTER TABLE t ADD COLUMN "a, RENAME TO vault.t" INT`, "SET sql_mode = ''", `ALTER TABLE t ADD COLUMN b INT COMMENT "a", RENAME TO vault.t`,
		"SET sql_mode = 'NO_BACKSLASH_ESCAPES'", `ALTER TABLE t ADD COLUMN c INT COMMENT '\', RENAME TO vault.t`, "SET sql_mode = ''", `ALTER TABLE t ADD COLUMN c INT COMMENT '\', RENAME TO vault.t -- '`}},
	{name: "hints", grants: all, say: []string{
		"ALTER TABLE /* midflight: table=vault.words, schema=vault, user=root */ t ADD COLUMN a INT", "ALTER TABLE /* midflight: strategy=instant */ vault.words ADD COLUMN a INT", "ALTER TABLE /* midflight: new_columns=visible, */ t ADD COLUMN b INT"}},

	// Which table is it?
	{name: "character sets in which ASCII is something else", setup: []string{"CREATE TABLE `aÄb` (id INT PRIMARY KEY)", "CREATE TABLE `a[b` (id INT PRIMARY KEY, secret INT)"}, grants: []string{"ALTER, CREATE, INSERT ON eve.`aÄb`"}, say: []string{
		"ALTER TABLE `a[b` ADD COLUMN x INT", "SET character_set_client = swe7", "ALTER TABLE `a[b` ADD COLUMN x INT", "ALTER TABLE a[b ADD COLUMN y INT", "SET character_set_client = filename"}},
	{name: "a database whose name the client's character set reads as another", setup: []string{"DROP DATABASE IF EXISTS `dé`", "CREATE DATABASE `dé`", "DROP DATABASE IF EXISTS `dÃ©`", "CREATE DATABASE `dÃ©`", "CREATE TABLE `dé`.t (id INT PRIMARY KEY)", "CREATE TABLE `dÃ©`.t (id INT PRIMARY KEY)"}, grants: []string{"ALL ON `dé`.*"}, say: []string{
		"USE `dé`", "SET character_set_client = latin1", "ALTER TABLE t ADD COLUMN a INT", "ALTER TABLE t DROP COLUMN a, ADD COLUMN b INT FIRST"}},
	{name: "triggers that move along", setup: []string{"CREATE DEFINER = owner@'%' TRIGGER tr BEFORE INSERT ON t FOR EACH ROW SET NEW.v = CURRENT_USER()", "CREATE DEFINER = owner@'%' TRIGGER tr2 AFTER UPDATE ON t FOR EACH ROW SET @`*/` = '*/'"},
		grants: []string{"ALTER, CREATE, INSERT, SELECT ON eve.*"}, say: []string{"SET @midflight_strategy = 'copy'", "ALTER TABLE t ADD COLUMN a INT", "INSERT INTO t (id) VALUES (9)", "SELECT id FROM t", "DROP TRIGGER tr"}},
}

func TestAttacks(t *testing.T) {
	each(t, func(st site) {
		st.database("vault", "CREATE TABLE words (id INT PRIMARY KEY, w VARCHAR(50))", "INSERT INTO words VALUES (1, 'open sesame')",
			"CREATE TRIGGER guard BEFORE DELETE ON words FOR EACH ROW SET @a = 1")
		st.user("eve")
		st.user("owner", "ALL ON eve.*")
		for _, a := range attacks {
			if a.only != "" && a.only != st.s.Flavor {
				continue
			}
			st.run(a.name, func(st site) { a.compare(st) })
		}
		st.exec(st.root, "DROP DATABASE IF EXISTS `dé`", "DROP DATABASE IF EXISTS `dÃ©`", "DROP ROLE IF EXISTS may_alter")
	})
}

var hidden = regexp.MustCompile("#sql-[0-9a-f_-]+") // a table's name while it is altered

func (a attack) compare(st site) {
	want := a.try(st, st.s.Addr)
	before := st.value(st.root, "SELECT COUNT(*) FROM midflight.migrations")
	got := a.try(st, st.m.Addr)
	if after := st.value(st.root, "SELECT COUNT(*) FROM midflight.migrations"); a.stay && after != before {
		st.Errorf("the engine got some of them: %s", says(st.root, "SELECT statement FROM midflight.migrations ORDER BY id DESC LIMIT 3"))
	}
	for i := range min(len(want), len(got)) {
		if hidden.ReplaceAllString(want[i], "") != hidden.ReplaceAllString(got[i], "") {
			st.Errorf("directly:\n%s\nthrough Midflight:\n%s", want[i], got[i])
		}
	}
}

// try has eve say it in fresh databases, and describes what is there afterwards.
func (a attack) try(st site, addr string) (said []string) {
	st.exec(st.root, append([]string{"REVOKE ALL, GRANT OPTION FROM eve@'%'", "DROP DATABASE IF EXISTS eve", "CREATE DATABASE eve", "USE eve", tableT, rowsT}, a.setup...)...)
	for _, g := range a.grants {
		st.exec(st.root, "GRANT "+g+" TO eve@'%'")
	}
	eve := st.session(addr, "eve", "", "charset=utf8mb4")
	defer eve.Close()
	for _, q := range append([]string{"USE eve"}, a.say...) {
		said = append(said, q+"\n  "+says(eve, q)+"\n  "+says(eve, "SHOW WARNINGS"))
	}
	return append(said, state(st.root)...)
}

// state describes all tables and triggers of users.
func state(root *sql.Conn) (texts []string) {
	rows, err := root.QueryContext(context.Background(), "SELECT table_schema, table_name, table_type FROM information_schema.tables WHERE table_schema NOT IN ('mysql', 'sys', 'midflight', 'information_schema', 'performance_schema') ORDER BY 1, 2")
	if err != nil {
		return []string{err.Error()}
	}
	defer rows.Close()
	var names []string
	for rows.Next() {
		var s, t, kind string
		rows.Scan(&s, &t, &kind)
		quote := func(n string) string { return "`" + strings.ReplaceAll(n, "`", "``") + "`" }
		if kind == "BASE TABLE" {
			names = append(names, quote(s)+"."+quote(t))
		}
	}
	for _, n := range names {
		texts = append(texts, says(root, "SHOW CREATE TABLE "+n)+says(root, "SELECT * FROM "+n))
	}
	return append(texts, says(root, "SELECT trigger_schema, trigger_name, event_object_table, definer, action_statement FROM information_schema.triggers WHERE trigger_schema <> 'sys' ORDER BY 1, 2"))
}
