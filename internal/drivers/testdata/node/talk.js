// Talks with a server through mysql2 and prints all that it hears.
'use strict';
const crypto = require('crypto');
const fs = require('fs');
const { Readable } = require('stream');
const path = require('path');
const mysql = require(path.join(process.env.DB_MODULES, 'mysql2'));

const e = process.env;
const big = e.DB_BIG === '1';

function show(v) {
  if (v instanceof Date) return `Date(${v.toISOString()})`;
  if (typeof v === 'bigint') return `${v}n`;
  if (Buffer.isBuffer(v)) return v.length > 300 ? `Buffer[${v.length} ${hash(v)}]` : `Buffer(${v.toString('hex')})`;
  if (typeof v === 'string') return v.length > 300 ? `[${v.length} ${hash(v)}]` : JSON.stringify(v);
  if (Array.isArray(v)) return `[${v.map(show).join(', ')}]`;
  if (v && typeof v === 'object') return `{${Object.entries(v).map(([k, x]) => `${k}: ${show(x)}`).join(', ')}}`;
  return `${typeof v} ${v}`;
}
const hash = (v) => crypto.createHash('md5').update(v).digest('hex');

function column(f) {
  return `${f.db}.${f.table}.${f.name} (${f.orgTable}.${f.orgName}) type ${f.columnType} flags ${f.flags} length ${f.columnLength} decimals ${f.decimals} charset ${f.characterSet}`;
}
function result(r, f) {
  if (r === undefined) return console.log('  nothing');
  if (f && f.length && Array.isArray(f[0]) || f && f.some((x) => x === undefined)) {
    r.forEach((x, i) => result(x, f[i]));
    return;
  }
  if (Array.isArray(r)) {
    if (f) f.forEach((x) => console.log('  column', column(x)));
    r.slice(0, 12).forEach((x) => console.log('  row', show(x)));
    return console.log(`  ${r.length} rows`);
  }
  console.log('  ok', show({ ...r, stateChanges: r.stateChanges && { ...r.stateChanges, systemVariables: Object.keys(r.stateChanges.systemVariables || {}) , gtids: undefined } }));
}
const failure = (x) => console.log(`  error ${x.errno} ${x.sqlState} ${x.code} ${x.sqlMessage || x.message}`);

function options(more) {
  const o = { host: e.DB_HOST, port: +e.DB_PORT, user: e.DB_USER, password: e.DB_PASSWORD, database: e.DB_NAME, charset: 'utf8mb4',
    multipleStatements: true, supportBigNumbers: true, timezone: 'Z', connectAttributes: { talk: 'node' }, compress: e.DB_COMPRESS === '1', maxPreparedStatements: 20 };
  if (e.DB_TLS === '1') o.ssl = { ca: fs.readFileSync(e.DB_CA), verifyIdentity: true, rejectUnauthorized: true };
  return { ...o, ...more };
}
async function dial(more) {
  try {
    const c = mysql.createConnection(options(more));
    await new Promise((ok, no) => c.connect((x) => x ? no(x) : ok()));
    return c;
  } catch (x) { console.log('connect'); failure(x); }
}
const call = (c, method, ...args) => new Promise((done) => c[method](...args, (x, r, f) => {
  if (x) failure(x); else result(r, f);
  done(r);
}));
async function query(c, sql, values) { console.log('>', show(sql)); return call(c, 'query', sql, values || []); }
async function execute(c, sql, values) { console.log('execute>', show(sql)); return call(c, 'execute', sql, values || []); }

async function statements(c) {
  await query(c, `CREATE TABLE types (id INT PRIMARY KEY AUTO_INCREMENT, ti TINYINT, bi BIGINT UNSIGNED, f FLOAT, d DOUBLE, de DECIMAL(30,10), da DATE,
    dt DATETIME(6), ts TIMESTAMP(3) NULL, t TIME(6), y YEAR, vc VARCHAR(200) CHARACTER SET latin1, bn VARBINARY(200), tx TEXT, bl LONGBLOB,
    e ENUM('a','b'), st SET('x','y'), b BIT(10), j JSON, g POINT)`);
  const insert = 'INSERT INTO types (ti, bi, f, d, de, da, dt, ts, t, y, vc, bn, tx, bl, e, st, b, j, g) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ST_GeomFromText(?))';
  const moment = new Date('2026-12-31T23:59:59.123Z');
  const values = [-5, '18446744073709551615', 1.25, -1e300, '12345678901234567890.0123456789', '2024-02-29', moment, moment, '-101:02:03.000004', 2026,
    'äö', Buffer.from([0, 1, 255]), '😀', Buffer.from([0, 39, 92]), 'b', 'x,y', 513, { a: [1, null] }, 'POINT(1 2)'];
  await execute(c, insert, values);
  await execute(c, insert, values);
  await execute(c, insert, values.map(() => null));
  await execute(c, 'SELECT * FROM types WHERE id >= ? ORDER BY id', [1]);
  await query(c, 'SELECT * FROM types');
  await execute(c, 'SELECT * FROM types WHERE id >= ? ORDER BY id', [3]);
  await execute(c, 'SELECT ? AS a, ? AS b, ? AS c, ? AS d', [1, 'x', true, null]);
  await query(c, 'ALTER TABLE types MODIFY ti BIGINT, ADD COLUMN later INT DEFAULT 9');
  await execute(c, 'SELECT * FROM types WHERE id >= ? ORDER BY id', [3]);
  await execute(c, 'ALTER TABLE types DROP COLUMN later, ADD COLUMN again INT NOT NULL DEFAULT 3');
  await execute(c, 'SELECT * FROM types WHERE id >= ? ORDER BY id', [3]);
  await execute(c, 'INSERT INTO types (id) VALUES (?)', [1]);
  await execute(c, 'SELECT nothing FROM types WHERE id = ?', [1]);
  for (let i = 0; i < 30; i++) await new Promise((ok) => c.execute(`SELECT ${i} + ?`, [i], ok)); // more than are kept
  await query(c, { sql: 'SELECT id, d FROM types', rowsAsArray: true });
  await query(c, { sql: 'SELECT id, d FROM types AS x', nestTables: true });
}

async function results(c) {
  await query(c, 'CREATE TABLE n (i INT PRIMARY KEY, v VARCHAR(100))');
  await query(c, "INSERT INTO n WITH RECURSIVE r AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM r WHERE i < 500) SELECT i, REPEAT('v', i MOD 100) FROM r");
  await query(c, "CREATE PROCEDURE several(IN a INT, OUT o INT) BEGIN SELECT a AS first, 'x'; SELECT i FROM n WHERE i <= a; SET o = a * 2; INSERT INTO n VALUES (1000 + a, NULL); SELECT 1/0; END");
  await query(c, 'CALL several(3, @o)');
  await execute(c, 'CALL several(?, @o)', [4]);
  await execute(c, 'CALL several(?, @o)', [4]);
  await query(c, 'SELECT @o');
  await query(c, "SELECT 1 AS a; INSERT INTO n VALUES (2000, 'multi'); SELECT * FROM n WHERE i = 2000; DELETE FROM n WHERE i = 2000; DO 1");
  await query(c, 'SELECT 1; SELEKT 2; SELECT 3');
  await query(c, "INSERT INTO n VALUES (2001, 'kept'); INSERT INTO n VALUES (1, 'dup'); SELECT 'never'");
  await query(c, "SET sql_mode = ''");
  await query(c, "INSERT INTO types (ti, e) VALUES (1e30, 'far too long')");
  await query(c, 'SHOW WARNINGS');
  await query(c, 'SELECT i, CASE WHEN i < 400 THEN 1 ELSE (SELECT i FROM n) END FROM n WHERE i > 398');
  console.log('streamed');
  let rows = 0;
  for await (const row of c.query('SELECT i FROM n ORDER BY i').stream({ highWaterMark: 5 })) rows += row.i;
  console.log('  sum', rows);
  console.log('many at once'); // mysql2 queues them, and sends each when the last is answered
  await Promise.all(Array.from({ length: 20 }, (_, i) => new Promise((ok) => c.query('SELECT ? AS i', [i], (x, r) => { if (r[0].i !== i) console.log('wrong', i, r); ok(); }))));
}

async function sessions(c, other) {
  const begin = (m) => new Promise((ok) => c[m]((x) => { if (x) failure(x); ok(); }));
  await begin('beginTransaction');
  await query(c, "INSERT INTO n VALUES (3000, 'a')");
  await query(other, 'SELECT COUNT(*) AS n FROM n WHERE i = 3000');
  await begin('rollback');
  await query(c, 'SET autocommit = 0');
  await query(c, "INSERT INTO n VALUES (3001, 'b')");
  await begin('commit');
  await query(other, 'SELECT COUNT(*) AS n FROM n WHERE i IN (3000, 3001)');
  await query(c, 'SET autocommit = 1');
  await query(c, "SET session_track_system_variables = '*', session_track_state_change = ON, session_track_schema = ON");
  await query(c, "SET time_zone = '+03:00', NAMES latin1");
  await query(c, "SELECT 'ä', @@character_set_client");
  await query(c, 'USE information_schema');
  await query(c, 'USE ' + e.DB_NAME);
  console.log('ping');
  await new Promise((ok) => c.ping((x) => { if (x) failure(x); ok(); }));
  await query(c, 'SET NAMES utf8mb4');
  // The id that the connection was told is the server's.
  await query(c, 'SELECT CONNECTION_ID() = ? AS own', [c.threadId]);
  console.log('change user');
  await query(c, 'SET @kept = 1');
  await new Promise((ok) => c.changeUser({ user: 'other', password: 'different', database: e.DB_NAME }, (x) => { if (x) failure(x); ok(); }));
  await query(c, 'SELECT @kept, USER(), DATABASE(), CONNECTION_ID() = ? AS own', [c.threadId]);
  await execute(c, 'SELECT ? + 1 AS n', [1]);
  console.log('kill');
  const slept = query(c, 'SELECT SLEEP(30) AS s');
  for (;;) {
    const [rows] = await other.promise().query("SELECT COUNT(*) AS n FROM information_schema.processlist WHERE id = ? AND state = 'User sleep'", [c.threadId]);
    if (rows[0].n) break;
  }
  await other.promise().query('KILL QUERY ?', [c.threadId]);
  await slept;
  await query(c, "SELECT 'alive'");
}

async function infile(c) {
  await query(c, 'CREATE TABLE loaded (i INT PRIMARY KEY, v VARCHAR(100))');
  const lines = Array.from({ length: 20000 }, (_, i) => `${i}\trow ${i} ${'x'.repeat(i % 150)}\n`);
  await query(c, { sql: "LOAD DATA LOCAL INFILE 'rows' INTO TABLE loaded", infileStreamFactory: () => Readable.from(lines.map((l) => Buffer.from(l))) });
  await query(c, 'SELECT COUNT(*) AS n, SUM(CRC32(v)) AS s FROM loaded');
  await query(c, { sql: "LOAD DATA LOCAL INFILE 'rows' INTO TABLE nowhere", infileStreamFactory: () => Readable.from(lines.map((l) => Buffer.from(l))) });
  await query(c, { sql: "LOAD DATA LOCAL INFILE 'rows' INTO TABLE loaded", infileStreamFactory: () => Readable.from([]) });
}

async function packets(c) {
  await query(c, 'CREATE TABLE big (id INT PRIMARY KEY AUTO_INCREMENT, v LONGBLOB)');
  const v = Buffer.alloc(17 << 20);
  for (let i = 0; i < v.length; i++) v[i] = i * 31 + (i >> 10);
  await query(c, 'INSERT INTO big (v) VALUES (?)', [v.subarray(0, 9 << 20)]); // hexadecimal doubles it
  await execute(c, 'INSERT INTO big (v) VALUES (?)', [v]);
  await query(c, 'SELECT id, v, MD5(v) FROM big');
  await execute(c, 'SELECT id, v FROM big');
}

(async () => {
  await dial({ user: 'nobody' });
  await dial({ password: 'wrong' });
  await dial({ database: 'nowhere' });
  const c = await dial(), other = await dial({ bigNumberStrings: true, dateStrings: true });
  await query(c, "SELECT attr_name, attr_value FROM performance_schema.session_connect_attrs WHERE processlist_id = CONNECTION_ID() AND attr_name IN ('talk', '_client_name') ORDER BY 1");
  await query(c, "SHOW SESSION STATUS LIKE 'Ssl_version'");
  await statements(c);
  await query(other, 'SELECT * FROM types');
  await results(c);
  await infile(c);
  if (big) await packets(c);
  await sessions(c, other);
  const pool = mysql.createPool({ ...options(), connectionLimit: 4 }).promise();
  const all = await Promise.all(Array.from({ length: 12 }, (_, i) => pool.execute('SELECT ? AS i', [i])));
  console.log('pool', all.map(([r]) => r[0].i).join(' '));
  await pool.end();
  for (const x of [c, other]) await new Promise((ok) => x.end(ok));
  console.log('end');
})().catch((x) => { console.log(x.stack); process.exitCode = 1; });
