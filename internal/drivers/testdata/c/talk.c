// Talks with a server through MariaDB Connector/C and prints all that it hears.
#include <mysql.h>
#include <errmsg.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *setting(const char *name) {
	const char *v = getenv(name);
	return v ? v : "";
}
static int on(const char *name) { return strcmp(setting(name), "1") == 0; }

static unsigned long long hash(const char *p, unsigned long n) { // FNV-1a: big values are not printed
	unsigned long long h = 14695981039346656037ULL;
	while (n--) h = (h ^ (unsigned char)*p++) * 1099511628211ULL;
	return h;
}

static void value(const char *p, unsigned long n) {
	if (!p) { printf(" NULL"); return; }
	if (n > 300) { printf(" [%lu %llx]", n, hash(p, n)); return; }
	printf(" '");
	for (; n; n--, p++) {
		if (*p >= 32 && *p < 127) putchar(*p);
		else printf("\\x%02x", (unsigned char)*p);
	}
	printf("'");
}

static int told = 1;
static void progress(const MYSQL *m, unsigned stage, unsigned max, double at, const char *what, unsigned n) {
	if (!told++) printf("progress: stage %u of %u, %.*s\n", stage, max, (int)n, what);
}

static MYSQL *dial(const char *user, const char *password, const char *db, unsigned long flags) {
	MYSQL *m = mysql_init(NULL);
	my_bool yes = 1;
	unsigned infile = 1;
	mysql_options(m, MYSQL_OPT_LOCAL_INFILE, &infile);
	mysql_options(m, MYSQL_SET_CHARSET_NAME, "utf8mb4");
	mysql_options(m, MYSQL_PROGRESS_CALLBACK, (void *)progress);
	mysql_options4(m, MYSQL_OPT_CONNECT_ATTR_ADD, "talk", "c");
	unsigned long max = 1 << 30;
	mysql_options(m, MYSQL_OPT_MAX_ALLOWED_PACKET, &max);
	if (on("DB_TLS")) {
		mysql_options(m, MYSQL_OPT_SSL_CA, setting("DB_CA"));
		mysql_options(m, MYSQL_OPT_SSL_ENFORCE, &yes);
		mysql_options(m, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &yes);
	}
	if (on("DB_COMPRESS")) mysql_options(m, MYSQL_OPT_COMPRESS, NULL);
	if (!mysql_real_connect(m, setting("DB_HOST"), user, password, db, atoi(setting("DB_PORT")), NULL, flags)) {
		printf("connect as %s: %u %s %s\n", user, mysql_errno(m), mysql_sqlstate(m), mysql_error(m));
		mysql_close(m);
		return NULL;
	}
	return m;
}

static int failed(MYSQL *m, const char *what) {
	if (!mysql_errno(m)) return 0;
	printf("%s: error %u %s %s\n", what, mysql_errno(m), mysql_sqlstate(m), mysql_error(m));
	return 1;
}

static void columns(MYSQL_RES *r) {
	for (unsigned i = 0; i < mysql_num_fields(r); i++) {
		MYSQL_FIELD *f = mysql_fetch_field_direct(r, i);
		printf("  column %s.%s.%s (%s.%s) type %d flags %x length %lu max %lu decimals %u charset %u default%s\n", f->db, f->table, f->name,
			f->org_table, f->org_name, f->type, f->flags, f->length, f->max_length, f->decimals, f->charsetnr, f->def ? f->def : "-");
		MARIADB_CONST_STRING a;
		if (!mariadb_field_attr(&a, f, MARIADB_FIELD_ATTR_DATA_TYPE_NAME) && a.length) printf("    type name %.*s\n", (int)a.length, a.str);
		if (!mariadb_field_attr(&a, f, MARIADB_FIELD_ATTR_FORMAT_NAME) && a.length) printf("    format %.*s\n", (int)a.length, a.str);
	}
}

static void tracked(MYSQL *m) {
	static const char *names[] = {"variables", "schema", "state", "gtids", "characteristics", "transaction"};
	for (int type = SESSION_TRACK_BEGIN; type <= SESSION_TRACK_END; type++) {
		const char *p;
		size_t n;
		int counts = 0;
		for (int more = mysql_session_track_get_first(m, type, &p, &n); !more; more = mysql_session_track_get_next(m, type, &p, &n)) {
			printf("  tracked %s", names[type]);
			if (type == SESSION_TRACK_GTIDS || counts) printf(" some"); // they count what others do
			else value(p, n);
			counts = (n == 12 && memcmp(p, "statement_id", n) == 0) || (n == 9 && memcmp(p, "last_gtid", n) == 0);
			putchar('\n');
		}
	}
}

static void result(MYSQL *m, int stream) {
	int more = 0;
	do {
		MYSQL_RES *r = stream ? mysql_use_result(m) : mysql_store_result(m);
		if (failed(m, " result")) return;
		if (r) {
			columns(r);
			MYSQL_ROW row;
			while ((row = mysql_fetch_row(r))) {
				unsigned long *n = mysql_fetch_lengths(r);
				printf("  row");
				for (unsigned i = 0; i < mysql_num_fields(r); i++) value(row[i], n[i]);
				putchar('\n');
			}
			failed(m, " rows");
			mysql_free_result(r);
		}
		unsigned status;
		mariadb_get_infov(m, MARIADB_CONNECTION_SERVER_STATUS, &status);
		printf("  affected %lld id %llu warnings %u status %x info %s\n", (long long)mysql_affected_rows(m),
			(unsigned long long)mysql_insert_id(m), mysql_warning_count(m), status, mysql_info(m) ? mysql_info(m) : "-");
		tracked(m);
		more = mysql_next_result(m);
	} while (!more);
	if (more > 0) failed(m, " next result");
}

static void query(MYSQL *m, const char *q) {
	printf("> %.200s\n", q);
	if (mysql_query(m, q)) failed(m, " query");
	else result(m, 0);
}

// ---- prepared statements

static int bad(MYSQL_STMT *s, const char *what) {
	if (!mysql_stmt_errno(s)) return 0;
	printf("  %s: error %u %s %s\n", what, mysql_stmt_errno(s), mysql_stmt_sqlstate(s), mysql_stmt_error(s));
	return 1;
}

static void fetch(MYSQL_STMT *s) {
	do {
		MYSQL_RES *meta = mysql_stmt_result_metadata(s);
		if (!meta) goto counts;
		columns(meta);
		unsigned n = mysql_num_fields(meta);
		MYSQL_BIND *b = calloc(n, sizeof *b);
		unsigned long *len = calloc(n, sizeof *len);
		my_bool *null = calloc(n, sizeof *null), *cut = calloc(n, sizeof *cut);
		for (unsigned i = 0; i < n; i++) {
			MYSQL_FIELD *f = mysql_fetch_field_direct(meta, i);
			b[i].buffer_type = f->type == MYSQL_TYPE_FLOAT || f->type == MYSQL_TYPE_DOUBLE ? MYSQL_TYPE_DOUBLE : MYSQL_TYPE_STRING;
			b[i].buffer_length = b[i].buffer_type == MYSQL_TYPE_DOUBLE ? 8 : 400;
			b[i].buffer = malloc(b[i].buffer_length);
			b[i].length = len + i;
			b[i].is_null = null + i;
			b[i].error = cut + i;
		}
		mysql_stmt_bind_result(s, b);
		int rc, rows = 0;
		while ((rc = mysql_stmt_fetch(s)) == 0 || rc == MYSQL_DATA_TRUNCATED) {
			if (++rows > 12) continue;
			printf("  row");
			for (unsigned i = 0; i < n; i++) {
				if (null[i]) printf(" NULL");
				else if (b[i].buffer_type == MYSQL_TYPE_DOUBLE) printf(" %.17g", *(double *)b[i].buffer);
				else if (len[i] <= 400) value(b[i].buffer, len[i]);
				else {
					MYSQL_BIND big = b[i];
					unsigned long all;
					big.buffer = malloc(len[i]);
					big.buffer_length = len[i];
					big.length = &all;
					mysql_stmt_fetch_column(s, &big, i, 0);
					value(big.buffer, all);
					free(big.buffer);
				}
			}
			putchar('\n');
		}
		bad(s, "fetch");
		printf("  %d rows\n", rows);
		mysql_free_result(meta); // what is bound stays: a fetch after the next execution writes there
	counts:
		printf("  affected %lld id %llu warnings %u\n", (long long)mysql_stmt_affected_rows(s),
			(unsigned long long)mysql_stmt_insert_id(s), mysql_stmt_warning_count(s));
	} while (mysql_stmt_next_result(s) == 0);
	bad(s, "next result");
}

static MYSQL_STMT *prepare(MYSQL *m, const char *q) {
	MYSQL_STMT *s = mysql_stmt_init(m);
	printf("prepare> %s\n", q);
	if (mysql_stmt_prepare(s, q, -1)) bad(s, "prepare");
	else printf("  %lu parameters, %u columns\n", mysql_stmt_param_count(s), mysql_stmt_field_count(s));
	return s;
}

static void execute(MYSQL_STMT *s) {
	if (mysql_stmt_execute(s)) bad(s, "execute");
	else fetch(s);
}

static MYSQL_BIND param(enum enum_field_types type, void *p, unsigned long n) {
	MYSQL_BIND b = {0};
	b.buffer_type = type;
	b.buffer = p;
	b.buffer_length = n;
	b.length_value = n;
	b.length = NULL;
	return b;
}
static void bind(MYSQL_STMT *s, MYSQL_BIND *b, int n) {
	for (int i = 0; i < n; i++) if (!b[i].length) b[i].length = &b[i].length_value;
	if (mysql_stmt_bind_param(s, b)) bad(s, "bind");
}

static void statements(MYSQL *m) {
	query(m, "CREATE TABLE types (id INT PRIMARY KEY AUTO_INCREMENT, ti TINYINT, si SMALLINT UNSIGNED, mi MEDIUMINT, i INT DEFAULT 7, bi BIGINT UNSIGNED, f FLOAT, d DOUBLE,"
		" de DECIMAL(30,10), da DATE, dt DATETIME(6), ts TIMESTAMP(3) NULL, t TIME(6), y YEAR, c CHAR(10), vc VARCHAR(200) CHARACTER SET latin1, bn VARBINARY(200),"
		" tx TEXT, bl LONGBLOB, e ENUM('a','b'), st SET('x','y'), b BIT(10), j JSON, g POINT)");
	MYSQL_STMT *s = prepare(m, "INSERT INTO types (ti,si,mi,i,bi,f,d,de,da,dt,ts,t,y,c,vc,bn,tx,bl,e,st,b,j,g) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,ST_GeomFromText(?))");
	signed char ti = -5;
	unsigned short si = 65535;
	int mi = -77777, i = 1 << 30;
	unsigned long long bi = ~0ULL, bit = 513;
	float f = 1.25;
	double d = -1e300;
	short y = 2026;
	MYSQL_TIME da = {2024, 2, 29, 0, 0, 0, 0, 0, MYSQL_TIMESTAMP_DATE}, dt = {2026, 12, 31, 23, 59, 59, 123456, 0, MYSQL_TIMESTAMP_DATETIME},
		t = {0, 0, 0, 100, 1, 2, 3, 1, MYSQL_TIMESTAMP_TIME};
	char blob[] = "\0\1\2\xff'\\";
	MYSQL_BIND b[] = {
		param(MYSQL_TYPE_TINY, &ti, 1), param(MYSQL_TYPE_SHORT, &si, 2), param(MYSQL_TYPE_LONG, &mi, 4), param(MYSQL_TYPE_LONG, &i, 4),
		param(MYSQL_TYPE_LONGLONG, &bi, 8), param(MYSQL_TYPE_FLOAT, &f, 4), param(MYSQL_TYPE_DOUBLE, &d, 8), param(MYSQL_TYPE_NEWDECIMAL, "12345678901234567890.0123456789", 31),
		param(MYSQL_TYPE_DATE, &da, sizeof da), param(MYSQL_TYPE_DATETIME, &dt, sizeof dt), param(MYSQL_TYPE_TIMESTAMP, &dt, sizeof dt), param(MYSQL_TYPE_TIME, &t, sizeof t),
		param(MYSQL_TYPE_SHORT, &y, 2), param(MYSQL_TYPE_STRING, "char", 4), param(MYSQL_TYPE_VAR_STRING, "\xc3\xa4\xc3\xb6", 4), param(MYSQL_TYPE_BLOB, blob, 6),
		param(MYSQL_TYPE_STRING, "\xf0\x9f\x98\x80", 4), param(MYSQL_TYPE_LONG_BLOB, blob, 6), param(MYSQL_TYPE_STRING, "b", 1), param(MYSQL_TYPE_STRING, "x,y", 3),
		param(MYSQL_TYPE_LONGLONG, &bit, 8), param(MYSQL_TYPE_STRING, "{\"a\": [1, null]}", 16), param(MYSQL_TYPE_STRING, "POINT(1 2)", 10)};
	b[1].is_unsigned = b[4].is_unsigned = b[20].is_unsigned = 1;
	bind(s, b, 23);
	execute(s);
	execute(s); // types are not sent again
	for (int k = 0; k < 22; k++) b[k].buffer_type = MYSQL_TYPE_NULL;
	bind(s, b, 23);
	execute(s);
	b[13] = param(MYSQL_TYPE_STRING, "far too long for a CHAR(10)", 27);
	bind(s, b, 23);
	execute(s);
	mysql_stmt_close(s);
	s = prepare(m, "SELECT * FROM types WHERE id >= ? ORDER BY id");
	int from = 1;
	MYSQL_BIND p = param(MYSQL_TYPE_LONG, &from, 4);
	bind(s, &p, 1);
	execute(s);
	from = 3;
	execute(s);
	from = 100;
	execute(s);
	// A statement that outlives a change of its table is prepared again by the server.
	query(m, "ALTER TABLE types ADD COLUMN later INT DEFAULT 9, MODIFY si BIGINT");
	from = 3;
	execute(s);
	mysql_stmt_close(s);
	query(m, "SELECT * FROM types WHERE id IN (1, 3)");

	s = prepare(m, "SELECT ? + ?, ?, CAST(? AS JSON)");
	mysql_stmt_close(s);
	s = prepare(m, "SELECT * FROM nowhere");
	mysql_stmt_close(s);
	s = prepare(m, "SELECT 1; SELECT 2");
	mysql_stmt_close(s);
	s = prepare(m, "INSERT INTO types (id) VALUES (?)");
	from = 1;
	bind(s, &p, 1);
	execute(s); // duplicate key
	from = 50;
	execute(s);
	mysql_stmt_reset(s);
	from = 51;
	execute(s);
	mysql_stmt_close(s);
	query(m, "SHOW WARNINGS");
	query(m, "UPDATE types SET i = 7");
	query(m, "UPDATE types SET i = 8 WHERE id > 2");
	query(m, "DELETE FROM types WHERE id > 3");
}

static void cursors(MYSQL *m) {
	query(m, "CREATE TABLE n (i INT PRIMARY KEY, v VARCHAR(100))");
	query(m, "INSERT INTO n WITH RECURSIVE r AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM r WHERE i < 500) SELECT i, REPEAT('v', i MOD 100) FROM r");
	for (unsigned long size = 1; size < 1000; size *= 7) {
		MYSQL_STMT *s = mysql_stmt_init(m);
		unsigned long type = CURSOR_TYPE_READ_ONLY;
		mysql_stmt_attr_set(s, STMT_ATTR_CURSOR_TYPE, &type);
		mysql_stmt_attr_set(s, STMT_ATTR_PREFETCH_ROWS, &size);
		printf("cursor of %lu\n", size);
		const char *q = "SELECT i, v FROM n ORDER BY i";
		if (mysql_stmt_prepare(s, q, strlen(q))) bad(s, "prepare");
		execute(s);
		// One that is left open, executed again, and closed halfway.
		if (mysql_stmt_execute(s)) bad(s, "execute");
		mysql_stmt_fetch(s);
		query(m, "SELECT 'beside a cursor'");
		mysql_stmt_fetch(s);
		mysql_stmt_close(s);
	}
}

static void procedures(MYSQL *m) {
	query(m, "CREATE PROCEDURE several(IN a INT, OUT o INT) BEGIN SELECT a AS first, 'x'; SELECT i FROM n WHERE i <= a; SET o = a * 2; INSERT INTO n VALUES (1000 + a, NULL); SELECT 1/0; END");
	query(m, "CALL several(3, @o)");
	query(m, "SELECT @o");
	MYSQL_STMT *s = prepare(m, "CALL several(?, ?)");
	int a = 4;
	MYSQL_BIND b[] = {param(MYSQL_TYPE_LONG, &a, 4), param(MYSQL_TYPE_LONG, &a, 4)};
	bind(s, b, 2);
	execute(s);
	a = 3; // duplicate key after two results
	execute(s);
	mysql_stmt_close(s);
	query(m, "SELECT 1 AS a; INSERT INTO n VALUES (2000, 'multi'); SELECT * FROM n WHERE i = 2000; DELETE FROM n WHERE i = 2000; DO 1");
	query(m, "SELECT 1; SELEKT 2; SELECT 3");
	query(m, "INSERT INTO n VALUES (2001, 'kept'); INSERT INTO n VALUES (1, 'dup'); SELECT 'never'");
	query(m, "SELECT COUNT(*) FROM n WHERE i = 2001");
	query(m, ";");
	query(m, "");
	query(m, "-- nothing\n");
	mysql_set_server_option(m, MYSQL_OPTION_MULTI_STATEMENTS_OFF);
	failed(m, "option");
	query(m, "SELECT 1; SELECT 2");
	mysql_set_server_option(m, MYSQL_OPTION_MULTI_STATEMENTS_ON);
	query(m, "SELECT 1; SELECT 2");
	printf("streamed\n");
	mysql_query(m, "SELECT i FROM n WHERE i < 4; SELECT 'second'");
	result(m, 1);
}

static void errors(MYSQL *m) {
	query(m, "SELECT * FROM nowhere");
	query(m, "SELECT nothing FROM n");
	query(m, "INSERT INTO n VALUES (1, 'dup')");
	query(m, "SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = 31000, MESSAGE_TEXT = 'of our own'");
	query(m, "SELECT 1, (SELECT i FROM n)");
	query(m, "SELECT i, CASE WHEN i < 400 THEN 'fine' ELSE (SELECT i FROM n) END FROM n WHERE i > 398"); // fails between rows
	query(m, "SET sql_mode = ''");
	query(m, "INSERT INTO types (ti, c) VALUES (1000, 'far too long for a CHAR(10)')");
	query(m, "SHOW WARNINGS");
	query(m, "SHOW COUNT(*) WARNINGS");
	query(m, "SET sql_mode = DEFAULT");
	query(m, "DROP TABLE IF EXISTS nowhere");
	query(m, "SHOW WARNINGS");
	query(m, "USE nowhere");
	if (mysql_select_db(m, "nowhere")) failed(m, "select db");
	MYSQL_RES *r = mysql_list_fields(m, "types", "t%");
	if (!failed(m, "list fields")) { printf("fields\n"); columns(r); mysql_free_result(r); }
	mysql_list_fields(m, "nowhere", NULL);
	failed(m, "list fields");
	mysql_ping(m);
	failed(m, "ping");
}

static void transactions(MYSQL *m, MYSQL *other) {
	mysql_autocommit(m, 0);
	query(m, "INSERT INTO n VALUES (3000, 'a')");
	query(other, "SELECT COUNT(*) FROM n WHERE i = 3000");
	mysql_rollback(m);
	query(m, "INSERT INTO n VALUES (3001, 'b')");
	mysql_commit(m);
	query(other, "SELECT COUNT(*) FROM n WHERE i IN (3000, 3001)");
	query(m, "SET TRANSACTION ISOLATION LEVEL READ COMMITTED");
	query(m, "START TRANSACTION READ ONLY");
	query(m, "DELETE FROM n");
	query(m, "COMMIT AND CHAIN");
	query(m, "ROLLBACK");
	query(m, "SAVEPOINT s");
	query(m, "RELEASE SAVEPOINT s");
	query(m, "RELEASE SAVEPOINT s");
	query(m, "BEGIN");
	query(m, "UPDATE n SET v = 'locked' WHERE i = 1");
	query(other, "SET innodb_lock_wait_timeout = 1");
	query(other, "UPDATE n SET v = 'waits' WHERE i = 1");
	mysql_autocommit(m, 1);
}

static void tracking(MYSQL *m) {
	query(m, "SET session_track_system_variables = '*', session_track_state_change = ON, session_track_transaction_info = 'CHARACTERISTICS'");
	if (strcmp(setting("DB_FLAVOR"), "mysql") == 0) query(m, "SET session_track_gtids = OWN_GTID");
	query(m, "SET @a = 1, time_zone = '+03:00', sql_mode = 'ANSI'");
	query(m, "USE information_schema");
	query(m, "SET NAMES latin1");
	query(m, "BEGIN; SELECT COUNT(*) FROM tables WHERE table_name = 'nowhere'");
	query(m, "COMMIT");
	mysql_select_db(m, setting("DB_NAME"));
	tracked(m);
	query(m, "INSERT INTO n VALUES (3100, 'x')");
	query(m, "CREATE TEMPORARY TABLE temp (a INT)");
}

static void session(MYSQL *m) {
	unsigned long id = mysql_thread_id(m);
	query(m, "SET @kept = 'yes'");
	char own[100];
	snprintf(own, sizeof own, "SELECT CONNECTION_ID() = %lu, USER(), CURRENT_USER(), DATABASE(), @@character_set_client", id);
	query(m, own);
	mysql_set_character_set(m, "latin1");
	failed(m, "character set");
	query(m, "SELECT '\xe4', @@character_set_results, HEX('\xe4')");
	mysql_set_character_set(m, "utf8mb4");
	query(m, "SET NAMES gbk");
	query(m, "SELECT HEX('\xbf\x27'), _binary'\xff\xfe'");
	query(m, "SET NAMES utf8mb4");
	mysql_reset_connection(m);
	failed(m, "reset");
	query(m, "SELECT @kept, DATABASE(), @@autocommit");
	query(m, own);
	if (mysql_change_user(m, "other", "different", setting("DB_NAME"))) failed(m, "change user");
	query(m, own);
	if (mysql_change_user(m, "other", "wrong", NULL)) failed(m, "change user");
	// The server has hung up: what the client says depends on how soon it learns.
}

// ---- a statement that is killed

static void *sleeper(void *arg) {
	query(arg, "SELECT SLEEP(30), 'slept'");
	query(arg, "DO SLEEP(30)");
	return NULL;
}

static void await(MYSQL *m, unsigned long id, const char *info) {
	char q[300];
	snprintf(q, sizeof q, "SELECT COUNT(*) FROM information_schema.processlist WHERE id = %lu AND info LIKE '%s%%' AND state = 'User sleep'", id, info);
	for (int seen = 0; !seen; usleep(5000)) {
		if (mysql_query(m, q)) { failed(m, "await"); exit(1); }
		MYSQL_RES *r = mysql_store_result(m);
		MYSQL_ROW row = mysql_fetch_row(r);
		seen = row && atoi(row[0]);
		mysql_free_result(r);
	}
}

static void killing(MYSQL *m, MYSQL *killer) {
	pthread_t t;
	char q[50];
	unsigned long id = mysql_thread_id(m);
	snprintf(q, sizeof q, "KILL QUERY %lu", id);
	pthread_create(&t, NULL, sleeper, m);
	await(killer, id, "SELECT SLEEP");
	mysql_query(killer, q);
	failed(killer, "kill query");
	await(killer, id, "DO SLEEP");
	mysql_query(killer, q);
	pthread_join(t, NULL);
	query(m, "SELECT 'alive'");
	mysql_kill(killer, id);
	failed(killer, "kill");
	mysql_query(killer, "KILL 999999999");
	failed(killer, "kill nobody");
}

// ---- big packets, both ways

static char *letters(unsigned long n) {
	char *p = malloc(n + 1);
	for (unsigned long i = 0; i < n; i++) p[i] = 'a' + (i * 31 + i / 1000) % 26;
	p[n] = 0;
	return p;
}

static void big(MYSQL *m, unsigned long n) {
	char *data = letters(n), *q = malloc(n + 100);
	unsigned long at = sprintf(q, "INSERT INTO big (v) VALUES ('");
	memcpy(q + at, data, n);
	strcpy(q + at + n, "')");
	printf("a statement with %lu bytes\n", n);
	if (mysql_real_query(m, q, at + n + 2)) failed(m, " query");
	else result(m, 0);
	query(m, "SELECT v, LENGTH(v), MD5(v) FROM big ORDER BY id DESC LIMIT 1");
	if (n > 20 << 20) return; // the rest of it is slow
	MYSQL_STMT *s = prepare(m, "INSERT INTO big (v) VALUES (?)");
	MYSQL_BIND b = param(MYSQL_TYPE_LONG_BLOB, data, n);
	bind(s, &b, 1);
	execute(s);
	b = param(MYSQL_TYPE_LONG_BLOB, NULL, 0);
	bind(s, &b, 1);
	unsigned long part = 1000003;
	for (at = 0; at < n; at += part) {
		if (mysql_stmt_send_long_data(s, 0, data + at, n - at < part ? n - at : part)) bad(s, "long data");
	}
	execute(s);
	mysql_stmt_close(s);
	s = prepare(m, "SELECT v, id FROM big ORDER BY id");
	execute(s);
	mysql_stmt_close(s);
	query(m, "SELECT MD5(v) FROM big");
	query(m, "TRUNCATE big");
	free(data);
	free(q);
}

static void exact(MYSQL *m) { // a packet that is exactly full is followed by an empty one
	for (int more = -1; more <= 1; more++) {
		unsigned long n = 0xffffff - 1 + more;
		char *q = malloc(n + 1);
		memset(q, ' ', n);
		memcpy(q, "SELECT 'exact'", 14);
		printf("a packet of %lu\n", n + 1);
		if (mysql_real_query(m, q, n)) failed(m, " query");
		else result(m, 0);
		char s[100];
		snprintf(s, sizeof s, "SELECT REPEAT('x', %lu)", n + 1 - 4);
		query(m, s);
		free(q);
	}
}

// ---- what only this library can do

static void asynchronous(MYSQL *unused) {
	MYSQL *m = mysql_init(NULL), *got;
	mysql_options(m, MYSQL_OPT_NONBLOCK, 0);
	if (on("DB_TLS")) return;
	int status = mysql_real_connect_start(&got, m, setting("DB_HOST"), setting("DB_USER"), setting("DB_PASSWORD"), setting("DB_NAME"), atoi(setting("DB_PORT")), NULL, 0);
#define WAIT(cont) \
	while (status) { \
		struct pollfd p = {mysql_get_socket(m), (status & MYSQL_WAIT_READ ? POLLIN : 0) | (status & MYSQL_WAIT_WRITE ? POLLOUT : 0), 0}; \
		int n = poll(&p, 1, 30000); \
		int event = n <= 0 ? MYSQL_WAIT_TIMEOUT : (p.revents & POLLIN ? MYSQL_WAIT_READ : 0) | (p.revents & POLLOUT ? MYSQL_WAIT_WRITE : 0); \
		status = cont; \
	}
	WAIT(mysql_real_connect_cont(&got, m, event));
	if (!got) { failed(m, "connect asynchronously"); return; }
	int err;
	const char *q = "SELECT i, SLEEP(0.01) FROM n WHERE i < 5";
	status = mysql_real_query_start(&err, m, q, strlen(q));
	WAIT(mysql_real_query_cont(&err, m, event));
	if (err) failed(m, "query asynchronously");
	MYSQL_RES *r;
	status = mysql_store_result_start(&r, m);
	WAIT(mysql_store_result_cont(&r, m, event));
	printf("asynchronously %llu rows\n", (unsigned long long)mysql_num_rows(r));
	mysql_free_result(r);
	mysql_close(m);
}

static void pipelined(MYSQL *m) {
	MYSQL_STMT *s = mysql_stmt_init(m);
	for (int k = 0; k < 2; k++) {
		printf("execute directly\n");
		unsigned count = 1;
		int from = 498;
		mysql_stmt_attr_set(s, STMT_ATTR_PREBIND_PARAMS, &count);
		MYSQL_BIND b = param(MYSQL_TYPE_LONG, &from, 4);
		bind(s, &b, 1);
		const char *q = k ? "SELECT nothing FROM n WHERE i >= ?" : "SELECT i, v FROM n WHERE i >= ? AND i < 1000";
		if (mariadb_stmt_execute_direct(s, q, strlen(q))) bad(s, "execute direct");
		else fetch(s);
	}
	mysql_stmt_close(s);
	query(m, "SELECT 'after a pipeline'");
}

static void bulk(MYSQL *m) {
	query(m, "CREATE TABLE bulk (id INT PRIMARY KEY AUTO_INCREMENT, a INT DEFAULT 42, v VARCHAR(50))");
	MYSQL_STMT *s = prepare(m, "INSERT INTO bulk (a, v) VALUES (?, ?)");
	enum { N = 5 };
	unsigned n = N;
	int a[N] = {1, 2, 3, 4, 5};
	char ind[N] = {STMT_INDICATOR_NONE, STMT_INDICATOR_NULL, STMT_INDICATOR_DEFAULT, STMT_INDICATOR_NONE, STMT_INDICATOR_NONE};
	char *v[N] = {"one", "two", "three", NULL, "five"};
	unsigned long len[N] = {3, 3, 5, 0, 4};
	char vind[N] = {STMT_INDICATOR_NTS, STMT_INDICATOR_NTS, STMT_INDICATOR_NONE, STMT_INDICATOR_NULL, STMT_INDICATOR_NONE};
	MYSQL_BIND b[2] = {{0}, {0}};
	b[0].buffer_type = MYSQL_TYPE_LONG;
	b[0].buffer = a;
	b[0].u.indicator = ind;
	b[1].buffer_type = MYSQL_TYPE_STRING;
	b[1].buffer = v;
	b[1].length = len;
	b[1].u.indicator = vind;
	if (mysql_stmt_attr_set(s, STMT_ATTR_ARRAY_SIZE, &n)) { printf("no bulk execution here\n"); mysql_stmt_close(s); return; }
	mysql_stmt_bind_param(s, b);
	execute(s);
	execute(s);
	mysql_stmt_close(s);
	query(m, "SELECT * FROM bulk");
	s = prepare(m, "INSERT INTO bulk (id) VALUES (?)");
	int ids[3] = {100, 101, 1};
	n = 3;
	memset(b, 0, sizeof b);
	b[0].buffer_type = MYSQL_TYPE_LONG;
	b[0].buffer = ids;
	mysql_stmt_attr_set(s, STMT_ATTR_ARRAY_SIZE, &n);
	mysql_stmt_bind_param(s, b);
	execute(s);
	mysql_stmt_close(s);
	s = prepare(m, "INSERT INTO bulk (v) VALUES (?) RETURNING id, v");
	memset(b, 0, sizeof b);
	b[0].buffer_type = MYSQL_TYPE_STRING;
	b[0].buffer = v;
	b[0].length = len;
	mysql_stmt_attr_set(s, STMT_ATTR_ARRAY_SIZE, &n);
	mysql_stmt_bind_param(s, b);
	execute(s);
	mysql_stmt_close(s);
	query(m, "SELECT * FROM bulk WHERE id > 5");
}

static void reports(MYSQL *m) {
	query(m, "SET progress_report_time = 1");
	query(m, "CREATE TABLE slow (id INT PRIMARY KEY, v VARCHAR(100))");
	query(m, "INSERT INTO slow SELECT seq, REPEAT('x', 100) FROM seq_1_to_100000");
	query(m, "SET @midflight_strategy = 'direct'"); // a variable like any other, for the server
	told = 0;
	query(m, "ALTER TABLE slow FORCE, ALGORITHM=COPY");
	told = 1;
	query(m, "SET @midflight_strategy = NULL");
	query(m, "DROP TABLE slow");
}

// ---- local infile, from memory

struct source { int row, rows; };
static int in_init(void **p, const char *name, void *user) {
	static struct source s;
	s.row = 0;
	s.rows = atoi(strrchr(name, '/') + 1);
	*p = &s;
	return s.rows < 0;
}
static int in_read(void *p, char *buf, unsigned n) {
	struct source *s = p;
	unsigned at = 0;
	for (; s->row < s->rows && at + 200 < n; s->row++) at += sprintf(buf + at, "%d\trow %d %.*s\n", s->row, s->row, s->row % 150,
		"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
	return at;
}
static void in_end(void *p) {}
static int in_error(void *p, char *buf, unsigned n) { snprintf(buf, n, "no such source"); return 2; }

static void infile(MYSQL *m) {
	mysql_set_local_infile_handler(m, in_init, in_read, in_end, in_error, NULL);
	query(m, "CREATE TABLE loaded (i INT PRIMARY KEY, v VARCHAR(100))");
	query(m, "LOAD DATA LOCAL INFILE '/20000' INTO TABLE loaded");
	query(m, "SHOW WARNINGS LIMIT 2");
	query(m, "SELECT COUNT(*), SUM(i), SUM(CRC32(v)) FROM loaded");
	query(m, "LOAD DATA LOCAL INFILE '/0' INTO TABLE loaded");
	query(m, "LOAD DATA LOCAL INFILE '/-1' INTO TABLE loaded");
	query(m, "SELECT 'after'; LOAD DATA LOCAL INFILE '/10' REPLACE INTO TABLE loaded; SELECT COUNT(*) FROM loaded");
	query(m, "LOAD DATA LOCAL INFILE '/10' INTO TABLE nowhere");
}

static void talk(MYSQL *m, MYSQL *other) {
	unsigned long caps = 0;
	mariadb_get_infov(m, MARIADB_CONNECTION_SERVER_CAPABILITIES, &caps);
	if (!on("DB_COMPRESS")) caps &= ~(CLIENT_COMPRESS | CLIENT_ZSTD_COMPRESSION);
	printf("server %s protocol %u capabilities %lx tls %s\n", mysql_get_server_info(m), mysql_get_proto_info(m), caps, mysql_get_ssl_cipher(m) ? "yes" : "no");
	query(m, "SELECT attr_name, attr_value FROM performance_schema.session_connect_attrs WHERE processlist_id = CONNECTION_ID() AND attr_name IN ('talk', '_client_name', '_server_host')");
	statements(m);
	cursors(m);
	procedures(m);
	errors(m);
	transactions(m, other);
	infile(m);
	asynchronous(m);
	pipelined(m);
	if (strcmp(setting("DB_FLAVOR"), "mariadb") == 0) bulk(m);
	if (on("DB_BIG")) {
		query(m, "CREATE TABLE big (id INT PRIMARY KEY AUTO_INCREMENT, v LONGBLOB)");
		big(m, 17 << 20);
		big(m, 33 << 20);
		exact(m);
		if (strcmp(setting("DB_FLAVOR"), "mariadb") == 0) reports(m);
	}
	killing(other, m);
	mysql_close(other);
	tracking(m);
	session(m);
}

int main(void) {
	setvbuf(stdout, NULL, _IOLBF, 0);
	mysql_library_init(0, NULL, NULL);
	dial("nobody", "x", NULL, 0);
	dial(setting("DB_USER"), "wrong", setting("DB_NAME"), 0);
	dial(setting("DB_USER"), setting("DB_PASSWORD"), "nowhere", 0);
	unsigned long flags = CLIENT_MULTI_STATEMENTS;
	MYSQL *m = dial(setting("DB_USER"), setting("DB_PASSWORD"), setting("DB_NAME"), flags), *other = dial(setting("DB_USER"), setting("DB_PASSWORD"), setting("DB_NAME"), flags | CLIENT_FOUND_ROWS);
	if (!m || !other) return 1;
	talk(m, other);
	mysql_close(m);
	puts("end");
	return 0;
}
