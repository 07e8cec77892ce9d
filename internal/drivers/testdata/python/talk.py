# Talks with a server through PyMySQL and prints all that it hears.
import datetime
import decimal
import hashlib
import os
import threading
import warnings

import pymysql
import pymysql.cursors
from pymysql.constants import CLIENT

warnings.simplefilter("ignore")
env = os.environ.get


def show(v):
    if isinstance(v, (bytes, str)) and len(v) > 300:
        return "%s[%d %s]" % (type(v).__name__, len(v), hashlib.md5(v.encode() if isinstance(v, str) else v).hexdigest())
    if isinstance(v, (tuple, list)):
        return "(%s)" % ", ".join(map(show, v))
    return repr(v)


def dial(**more):
    o = dict(host=env("DB_HOST"), port=int(env("DB_PORT")), user=env("DB_USER"), password=env("DB_PASSWORD"), database=env("DB_NAME"), charset="utf8mb4",
             local_infile=True, client_flag=CLIENT.MULTI_STATEMENTS, program_name="talk", max_allowed_packet=100 << 20)
    if env("DB_TLS") == "1":
        o.update(ssl_ca=env("DB_CA"), ssl_verify_cert=True, ssl_verify_identity=True)
    o.update(more)
    try:
        return pymysql.connect(**o)
    except pymysql.Error as x:
        print("connect:", type(x).__name__, x.args)


def result(c, cur):
    while True:
        for f in getattr(cur._result, "fields", []):
            print("  column", f.db, f.table_name, f.name, f.org_table, f.org_name, "type", f.type_code, "flags", f.flags, "length", f.length, "scale", f.scale, "charset", f.charsetnr)
        rows = cur.fetchall()
        for row in rows[:12]:
            print("  row", show(row))
        r = cur._result
        print("  %d rows, affected %s id %s warnings %s status %s message %r" % (len(rows), cur.rowcount, cur.lastrowid, r and r.warning_count, r and r.server_status, r and r.message))
        if not cur.nextset():
            return


def query(c, sql, args=None, kind=pymysql.cursors.Cursor):
    print(">", show(sql))
    try:
        with c.cursor(kind) as cur:
            cur.execute(sql, args)
            result(c, cur)
    except pymysql.Error as x:
        print("  error", type(x).__name__, x.args)


def statements(c):
    query(c, """CREATE TABLE types (id INT PRIMARY KEY AUTO_INCREMENT, ti TINYINT, bi BIGINT UNSIGNED, f FLOAT, d DOUBLE, de DECIMAL(30,10), da DATE,
        dt DATETIME(6), ts TIMESTAMP(3) NULL, t TIME(6), y YEAR, vc VARCHAR(200) CHARACTER SET latin1, bn VARBINARY(200), tx TEXT, bl LONGBLOB,
        e ENUM('a','b'), st SET('x','y'), b BIT(10), j JSON)""")
    moment = datetime.datetime(2026, 12, 31, 23, 59, 59, 123456)
    values = [-5, 2**64 - 1, 1.25, -1e300, decimal.Decimal("12345678901234567890.0123456789"), datetime.date(2024, 2, 29), moment, moment,
              -datetime.timedelta(hours=101, seconds=5, microseconds=7), 2026, "äö", b"\0\1\xff", "\N{GRINNING FACE}'\\\"%", b"\0'\\", "b", "x,y", 513, '{"a": [1, null]}']
    insert = "INSERT INTO types (ti, bi, f, d, de, da, dt, ts, t, y, vc, bn, tx, bl, e, st, b, j) VALUES (" + ", ".join(["%s"] * len(values)) + ")"
    query(c, insert, values)
    query(c, insert, [None] * len(values))
    with c.cursor() as cur:
        print("many", cur.executemany(insert, [values] * 300), cur.lastrowid)
    query(c, "SELECT * FROM types WHERE id < 4")
    query(c, "SELECT * FROM types WHERE id < 3", kind=pymysql.cursors.DictCursor)
    query(c, "SELECT id FROM types", kind=pymysql.cursors.SSCursor)
    print("half a result")
    cur = c.cursor(pymysql.cursors.SSCursor)
    cur.execute("SELECT id FROM types")
    print(cur.fetchone(), cur.fetchmany(3))
    cur.close()
    query(c, "ALTER TABLE types MODIFY ti BIGINT, ADD COLUMN later INT DEFAULT 9")
    query(c, "SELECT ti, later FROM types WHERE id < 3")
    query(c, "ALTER TABLE types ADD COLUMN later INT")
    query(c, "ALTER TABLE types MODIFY e ENUM('a')")
    query(c, "ALTER TABLE types MODIFY nothing INT")
    query(c, "ALTER TABLE nowhere MODIFY nothing INT")
    query(c, "ALTER TABLE types MODDIFY nothing INT")
    query(c, "SHOW COLUMNS FROM types")


def results(c, other):
    query(c, "CREATE TABLE n (i INT PRIMARY KEY, v VARCHAR(100))")
    query(c, "INSERT INTO n WITH RECURSIVE r AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM r WHERE i < 500) SELECT i, REPEAT('v', i MOD 100) FROM r")
    query(c, "CREATE PROCEDURE several(IN a INT, OUT o INT) BEGIN SELECT a AS first, 'x'; SELECT i FROM n WHERE i <= a; SET o = a * 2; INSERT INTO n VALUES (1000 + a, NULL); SELECT 1/0; END")
    with c.cursor() as cur:
        try:
            cur.callproc("several", (3, 0))
            result(c, cur)
        except pymysql.Error as x:
            print("  error", x.args)
    query(c, "CALL several(4, @o)")
    query(c, "CALL several(4, @o)")
    query(c, "SELECT @o")
    query(c, "SELECT 1 AS a; INSERT INTO n VALUES (2000, 'multi'); SELECT * FROM n WHERE i = 2000; DELETE FROM n WHERE i = 2000; DO 1")
    query(c, "SELECT 1; SELEKT 2; SELECT 3")
    query(c, "INSERT INTO n VALUES (2001, 'kept'); INSERT INTO n VALUES (1, 'dup'); SELECT 'never'")
    query(c, "SET sql_mode = ''")
    query(c, "INSERT INTO types (bi, e) VALUES (-1, 'far too long')")
    query(c, "SHOW WARNINGS")
    query(c, "SELECT i, CASE WHEN i < 400 THEN 1 ELSE (SELECT i FROM n) END FROM n WHERE i > 398")
    c.autocommit(False)
    query(c, "INSERT INTO n VALUES (3000, 'a')")
    query(other, "SELECT COUNT(*) FROM n WHERE i = 3000")
    c.rollback()
    query(c, "INSERT INTO n VALUES (3001, 'b')")
    c.commit()
    query(other, "COMMIT")
    query(other, "SELECT COUNT(*) FROM n WHERE i IN (3000, 3001)")
    c.autocommit(True)
    c.select_db("information_schema")
    query(c, "SELECT DATABASE()")
    c.select_db(env("DB_NAME"))
    c.set_charset("latin1")
    query(c, "SELECT 'ä', @@character_set_client")
    c.set_charset("utf8mb4")
    query(c, "SELECT 'ä', @@character_set_client")
    c.ping()
    query(c, "SELECT CONNECTION_ID() = %s", [c.thread_id()])
    print(c.get_server_info(), c.get_proto_info(), c.server_charset)


def infile(c):
    query(c, "CREATE TABLE loaded (i INT PRIMARY KEY, v VARCHAR(100))")
    with open("rows", "w") as f:
        for i in range(20000):
            f.write("%d\trow %d %s\n" % (i, i, "x" * (i % 150)))
    query(c, "LOAD DATA LOCAL INFILE 'rows' INTO TABLE loaded")
    query(c, "SELECT COUNT(*), SUM(CRC32(v)) FROM loaded")
    query(c, "LOAD DATA LOCAL INFILE 'nothing' INTO TABLE loaded")
    query(c, "LOAD DATA LOCAL INFILE 'rows' INTO TABLE nowhere")
    query(c, "SELECT 'after'")


def kill(c, other):
    id = c.thread_id()
    t = threading.Thread(target=query, args=(c, "SELECT SLEEP(30), 'slept'"))
    t.start()
    with other.cursor() as cur:
        while True:
            cur.execute("SELECT COUNT(*) FROM information_schema.processlist WHERE id = %s AND state = 'User sleep'", [id])
            if cur.fetchone()[0]:
                break
        cur.execute("KILL QUERY %s" % id)
    t.join()
    query(c, "SELECT 'alive'")


def packets(c):
    query(c, "CREATE TABLE big (id INT PRIMARY KEY AUTO_INCREMENT, v LONGBLOB)")
    v = bytes((i * 31 + (i >> 10)) & 0xff for i in range(1 << 20)) * 17
    query(c, "INSERT INTO big (v) VALUES (%s)", [v])
    query(c, "SELECT id, v, MD5(v) FROM big")
    query(c, "SELECT v, id FROM big", kind=pymysql.cursors.SSCursor)


dial(user="nobody")
dial(password="wrong")
dial(database="nowhere")
c, other = dial(), dial()
query(c, "SELECT attr_name, attr_value FROM performance_schema.session_connect_attrs WHERE processlist_id = CONNECTION_ID() AND attr_name IN ('program_name', '_client_name') ORDER BY 1")
query(c, "SHOW SESSION STATUS LIKE 'Ssl_version'")
statements(c)
results(c, other)
infile(c)
if env("DB_BIG") == "1":
    packets(c)
kill(c, other)
c.close()
other.close()
print("end")
