<?php
// Talks with a server through mysqlnd (mysqli and PDO) and prints all that it hears.
mysqli_report(MYSQLI_REPORT_OFF);

function show($v) {
	if (is_string($v) && strlen($v) > 300) return '[' . strlen($v) . ' ' . md5($v) . ']';
	return is_string($v) ? '"' . addcslashes($v, "\0..\37\177..\377\"") . '"' : var_export($v, true);
}

function dial($user, $password, $db) {
	$m = mysqli_init();
	$m->options(MYSQLI_OPT_LOCAL_INFILE, 1);
	$flags = 0;
	if (getenv('DB_TLS') === '1') {
		$m->ssl_set(null, null, getenv('DB_CA'), null, null);
		$m->options(MYSQLI_OPT_SSL_VERIFY_SERVER_CERT, 1);
		$flags |= MYSQLI_CLIENT_SSL;
	}
	if (getenv('DB_COMPRESS') === '1') $flags |= MYSQLI_CLIENT_COMPRESS;
	if (!@$m->real_connect(getenv('DB_HOST'), $user, $password, $db, (int) getenv('DB_PORT'), null, $flags)) {
		echo "connect: $m->connect_errno $m->connect_error\n";
		return null;
	}
	$m->set_charset('utf8mb4');
	return $m;
}

function failure($x) { echo "  error $x->errno $x->sqlstate $x->error\n"; }

function rows($r) {
	foreach ($r->fetch_fields() as $f)
		echo "  column $f->db.$f->table.$f->name ($f->orgtable.$f->orgname) type $f->type flags $f->flags length $f->length decimals $f->decimals charset $f->charsetnr\n";
	$n = 0;
	while ($row = $r->fetch_row()) if (++$n <= 12) echo '  row ', implode(' | ', array_map('show', $row)), "\n";
	echo "  $n rows\n";
	$r->free();
}

function query($m, $q, $mode = MYSQLI_STORE_RESULT) {
	echo '> ', strlen($q) > 200 ? strlen($q) . ' ' . md5($q) : $q, "\n";
	if (!$m->multi_query($q)) { failure($m); return; }
	do {
		$r = $mode == MYSQLI_USE_RESULT ? $m->use_result() : $m->store_result();
		if ($r) rows($r);
		if ($m->errno) failure($m);
		echo "  affected $m->affected_rows id $m->insert_id warnings $m->warning_count info $m->info\n";
	} while ($m->more_results() && $m->next_result());
	if ($m->errno) failure($m);
}

function execute($s, $types = '', ...$values) {
	if ($types !== '') $s->bind_param($types, ...$values);
	if (!$s->execute()) { failure($s); return; }
	do {
		if ($r = $s->get_result()) rows($r);
		echo "  affected $s->affected_rows id $s->insert_id\n";
	} while ($s->more_results() && $s->next_result());
}

function prepare($m, $q) {
	echo "prepare> $q\n";
	$s = $m->prepare($q);
	if (!$s) failure($m); else echo "  $s->param_count parameters, $s->field_count columns\n";
	return $s;
}

dial('nobody', 'x', getenv('DB_NAME'));
dial(getenv('DB_USER'), 'wrong', getenv('DB_NAME'));
dial(getenv('DB_USER'), getenv('DB_PASSWORD'), 'nowhere');
$m = dial(getenv('DB_USER'), getenv('DB_PASSWORD'), getenv('DB_NAME'));
$other = dial(getenv('DB_USER'), getenv('DB_PASSWORD'), getenv('DB_NAME'));
echo "$m->server_info $m->protocol_version\n";
query($m, "SELECT attr_name, attr_value FROM performance_schema.session_connect_attrs WHERE processlist_id = CONNECTION_ID() AND attr_name IN ('_client_name', '_server_host') ORDER BY 1");
query($m, "SHOW SESSION STATUS LIKE 'Ssl_version'");
query($m, "CREATE TABLE types (id INT PRIMARY KEY AUTO_INCREMENT, bi BIGINT UNSIGNED, d DOUBLE, de DECIMAL(30,10), dt DATETIME(6), t TIME(6), vc VARCHAR(200) CHARACTER SET latin1, bl LONGBLOB, e ENUM('a','b'), b BIT(10), j JSON)");
$s = prepare($m, 'INSERT INTO types (bi, d, de, dt, t, vc, bl, e, b, j) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)');
$values = ['18446744073709551615', -1e300, '12345678901234567890.0123456789', '2026-12-31 23:59:59.123456', '-101:02:03.000004', 'äö', "\0'\\\xff", 'b', 513, '{"a": [1, null]}'];
execute($s, 'sdssssssis', ...$values);
execute($s, 'sdssssssis', ...$values);
execute($s, 'ssssssssss', ...array_fill(0, 10, null));
execute($s, 'sdssssssis', ...array_replace($values, [7 => 'c']));
$s = prepare($m, 'SELECT * FROM types WHERE id >= ?');
execute($s, 'i', 1);
execute($s, 's', '3');
$s = prepare($m, 'SELECT * FROM nowhere');
$s = prepare($m, 'SELECT id FROM types WHERE id >= ?');
query($m, 'ALTER TABLE types MODIFY b BIT(20), ADD COLUMN later INT DEFAULT 9');
execute($s, 'i', 1);
query($m, 'SELECT * FROM types');
query($m, "CREATE TABLE n (i INT PRIMARY KEY, v VARCHAR(100))");
query($m, "INSERT INTO n WITH RECURSIVE r AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM r WHERE i < 500) SELECT i, REPEAT('v', i MOD 100) FROM r");
query($m, 'SELECT i, v FROM n', MYSQLI_USE_RESULT);
query($m, "CREATE PROCEDURE several(IN a INT, OUT o INT) BEGIN SELECT a AS first, 'x'; SELECT i FROM n WHERE i <= a; SET o = a * 2; INSERT INTO n VALUES (1000 + a, NULL); SELECT 1/0; END");
query($m, 'CALL several(3, @o)');
query($m, 'CALL several(3, @o)');
$s = prepare($m, 'CALL several(?, @o)');
execute($s, 'i', 4);
$s->close();
echo "cursor\n";
$s = $m->prepare('SELECT i, v FROM n WHERE i < 20');
$s->attr_set(MYSQLI_STMT_ATTR_CURSOR_TYPE, MYSQLI_CURSOR_TYPE_READ_ONLY);
if (!$s->execute()) failure($s);
$s->bind_result($i, $v);
while ($s->fetch()) echo "  $i $v\n";
$s->close();
query($m, "SELECT 1 AS a; INSERT INTO n VALUES (2000, 'multi'); SELECT * FROM n WHERE i = 2000; DELETE FROM n WHERE i = 2000; DO 1");
query($m, 'SELECT 1; SELEKT 2; SELECT 3');
query($m, 'SELECT i, CASE WHEN i < 400 THEN 1 ELSE (SELECT i FROM n) END FROM n WHERE i > 398');
query($m, "SET sql_mode = ''");
query($m, "INSERT INTO types (bi, e) VALUES (-1, 'far too long')");
query($m, 'SHOW WARNINGS');
$m->autocommit(false);
query($m, "INSERT INTO n VALUES (3000, 'a')");
query($other, 'SELECT COUNT(*) FROM n WHERE i = 3000');
$m->rollback();
$m->autocommit(true);
file_put_contents('rows', implode('', array_map(fn($i) => "$i\trow $i " . str_repeat('x', $i % 150) . "\n", range(0, 19999))));
query($m, 'CREATE TABLE loaded (i INT PRIMARY KEY, v VARCHAR(100))');
query($m, "LOAD DATA LOCAL INFILE 'rows' INTO TABLE loaded");
query($m, 'SELECT COUNT(*), SUM(CRC32(v)) FROM loaded');
@query($m, "LOAD DATA LOCAL INFILE 'nothing' INTO TABLE loaded");
query($m, "SELECT 'after'");
if (getenv('DB_BIG') === '1') {
	query($m, 'CREATE TABLE big (id INT PRIMARY KEY AUTO_INCREMENT, v LONGBLOB)');
	$v = str_repeat(md5('x') . md5('y'), 17 << 14);
	query($m, "INSERT INTO big (v) VALUES ('$v')");
	$s = prepare($m, 'INSERT INTO big (v) VALUES (?)');
	$null = null;
	$s->bind_param('b', $null);
	foreach (str_split($v, 1000003) as $part) $s->send_long_data(0, $part);
	execute($s);
	query($m, 'SELECT v, MD5(v) FROM big');
	$s = prepare($m, 'SELECT v FROM big');
	execute($s);
	$s->close();
}
echo "asynchronously\n";
$m->query('SELECT SLEEP(0.05), i FROM n WHERE i < 3', MYSQLI_ASYNC);
do { $r = $e = $x = [$m]; } while (!mysqli_poll($r, $e, $x, 10));
rows($m->reap_async_query());
echo "kill\n";
$m->query("SELECT SLEEP(30), 'slept'", MYSQLI_ASYNC);
do { $r = $other->query("SELECT COUNT(*) FROM information_schema.processlist WHERE id = $m->thread_id AND state = 'User sleep'")->fetch_row(); } while (!$r[0]);
$other->query("KILL QUERY $m->thread_id");
if ($r = $m->reap_async_query()) rows($r); else failure($m);
query($m, "SELECT 'alive'");
query($m, 'SET @kept = 1');
if (!$m->change_user('other', 'different', getenv('DB_NAME'))) failure($m);
query($m, 'SELECT @kept, USER(), DATABASE()');
query($m, "SELECT CONNECTION_ID() = $m->thread_id AS own");
$m->close();

echo "PDO\n";
$options = [PDO::ATTR_ERRMODE => PDO::ERRMODE_SILENT];
if (getenv('DB_TLS') === '1') $options += [PDO::MYSQL_ATTR_SSL_CA => getenv('DB_CA'), PDO::MYSQL_ATTR_SSL_VERIFY_SERVER_CERT => true];
if (getenv('DB_COMPRESS') === '1') $options += [PDO::MYSQL_ATTR_COMPRESS => true];
foreach ([true, false] as $emulate) {
	$p = new PDO('mysql:host=' . getenv('DB_HOST') . ';port=' . getenv('DB_PORT') . ';dbname=' . getenv('DB_NAME') . ';charset=utf8mb4', getenv('DB_USER'), getenv('DB_PASSWORD'), $options + [PDO::ATTR_EMULATE_PREPARES => $emulate]);
	$s = $p->prepare('SELECT * FROM types WHERE id >= :id');
	foreach ([1, 3] as $id) {
		$s->execute(['id' => $id]);
		for ($i = 0; $i < $s->columnCount(); $i++) echo '  ', json_encode($s->getColumnMeta($i)), "\n";
		foreach ($s->fetchAll(PDO::FETCH_NUM) as $row) echo '  row ', implode(' | ', array_map('show', $row)), "\n";
	}
	$s = $p->prepare('CALL several(?, @o)');
	$s->execute([5 + (int) $emulate]);
	do { if ($s->columnCount()) echo '  ', json_encode($s->fetchAll(PDO::FETCH_NUM)), "\n"; } while ($s->nextRowset());
	$p->beginTransaction();
	echo '  ', $p->exec("INSERT INTO n VALUES (4000, 'x')"), ' ', $p->exec('INSERT INTO n VALUES (1, NULL)') === false ? json_encode($p->errorInfo()) : 'no error', "\n";
	$p->rollBack();
	foreach (['ADD COLUMN p INT DEFAULT 1, MODIFY vc VARCHAR(50)', 'DROP COLUMN p'] as $change)
		echo '  ', var_export($p->exec("ALTER TABLE types $change"), true), ' ', json_encode($p->errorInfo()), "\n";
}
echo "end\n";
