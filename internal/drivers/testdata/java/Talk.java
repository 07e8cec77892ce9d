// Talks with a server through MariaDB Connector/J and prints all that it hears.
import java.io.ByteArrayInputStream;
import java.io.PrintStream;
import java.io.StringReader;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.sql.*;
import java.util.Arrays;

public class Talk {
    static final PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);

    static String env(String name) { return System.getenv().getOrDefault(name, ""); }

    static Connection dial(String user, String password, String db, String more) throws SQLException {
        String url = "jdbc:mariadb://" + env("DB_HOST") + ":" + env("DB_PORT") + "/" + db + "?allowMultiQueries=true&allowLocalInfile=true&connectionAttributes=talk:java"
            + "&enabledSslProtocolSuites=TLSv1.2,TLSv1.3&allowPublicKeyRetrieval=true&" + more;
        if (env("DB_TLS").equals("1")) url += "&useSsl=true&serverSslCert=" + env("DB_CA");
        if (env("DB_COMPRESS").equals("1")) url += "&useCompression=true";
        return DriverManager.getConnection(url, user, password);
    }

    static void refused(String user, String password, String db) {
        try {
            dial(user, password, db, "").close();
            out.println("not refused: " + user);
        } catch (SQLException e) {
            failure(e);
        }
    }

    static void failure(SQLException e) {
        for (; e != null; e = e.getNextException())
            out.println("  " + e.getClass().getSimpleName() + " " + e.getErrorCode() + " " + e.getSQLState() + " " + e.getMessage());
    }

    static String show(Object v) throws Exception {
        if (v instanceof byte[] b) return b.length > 300 ? "bytes[" + b.length + " " + hash(b) + "]" : "bytes" + Arrays.toString(b);
        if (v instanceof String s && s.length() > 300) return "String[" + s.length() + " " + hash(s.getBytes(StandardCharsets.UTF_8)) + "]";
        if (v instanceof Blob b) return "Blob " + show(b.getBytes(1, (int) b.length()));
        return v == null ? "null" : v.getClass().getSimpleName() + " " + v;
    }

    static String hash(byte[] b) throws Exception { return new BigInteger(1, MessageDigest.getInstance("MD5").digest(b)).toString(16); }

    static void rows(ResultSet r) throws Exception {
        ResultSetMetaData m = r.getMetaData();
        for (int i = 1; i <= m.getColumnCount(); i++)
            out.println("  column " + m.getCatalogName(i) + "." + m.getTableName(i) + "." + m.getColumnName(i) + " as " + m.getColumnLabel(i) + " " + m.getColumnTypeName(i) + " "
                + m.getColumnType(i) + " " + m.getColumnClassName(i) + " precision " + m.getPrecision(i) + " scale " + m.getScale(i) + " size " + m.getColumnDisplaySize(i)
                + " nullable " + m.isNullable(i) + " auto " + m.isAutoIncrement(i) + " signed " + m.isSigned(i));
        int n = 0;
        while (r.next()) {
            if (++n > 12) continue;
            StringBuilder b = new StringBuilder("  row");
            for (int i = 1; i <= m.getColumnCount(); i++) b.append(" | ").append(show(r.getObject(i)));
            out.println(b);
        }
        out.println("  " + n + " rows");
    }

    static void results(Statement s, boolean first) throws Exception {
        for (boolean isRows = first; ; isRows = s.getMoreResults()) {
            if (isRows) try (ResultSet r = s.getResultSet()) { rows(r); }
            else if (s.getUpdateCount() >= 0) out.println("  updated " + s.getUpdateCount());
            else break;
        }
        try (ResultSet keys = s.getGeneratedKeys()) { while (keys.next()) out.println("  key " + keys.getLong(1)); } catch (SQLException | java.util.NoSuchElementException e) { } // the driver has none of a stream
        for (SQLWarning w = s.getWarnings(); w != null; w = w.getNextWarning()) out.println("  warning " + w.getErrorCode() + " " + w.getSQLState() + " " + w.getMessage());
    }

    static void query(Connection c, String q) throws Exception { query(c, q, 0); }

    static void query(Connection c, String q, int fetch) throws Exception {
        out.println("> " + (q.length() > 200 ? q.length() + " " + hash(q.getBytes(StandardCharsets.UTF_8)) : q));
        try (Statement s = c.createStatement()) {
            s.setFetchSize(fetch);
            results(s, s.execute(q, Statement.RETURN_GENERATED_KEYS));
        } catch (SQLException e) {
            failure(e);
        }
    }

    static PreparedStatement prepare(Connection c, String q) throws Exception {
        out.println("prepare> " + q);
        return c.prepareStatement(q, Statement.RETURN_GENERATED_KEYS);
    }

    static void execute(PreparedStatement s, Object... values) throws Exception {
        try {
            for (int i = 0; i < values.length; i++) s.setObject(i + 1, values[i]);
            results(s, s.execute());
        } catch (SQLException e) {
            failure(e);
        }
    }

    static void statements(Connection c, String options) throws Exception {
        query(c, "CREATE TABLE types (id INT PRIMARY KEY AUTO_INCREMENT, ti TINYINT, bi BIGINT UNSIGNED, f FLOAT, d DOUBLE, de DECIMAL(30,10), da DATE, dt DATETIME(6), ts TIMESTAMP(3) NULL,"
            + " t TIME(6), y YEAR, vc VARCHAR(200) CHARACTER SET latin1, bn VARBINARY(200), tx TEXT, bl LONGBLOB, e ENUM('a','b'), st SET('x','y'), b BIT(10), j JSON)");
        Timestamp moment = Timestamp.valueOf("2026-12-31 23:59:59.123456");
        Object[] values = {(byte) -5, new BigInteger("18446744073709551615"), 1.25f, -1e300, new BigDecimal("12345678901234567890.0123456789"), java.sql.Date.valueOf("2024-02-29"), moment, moment,
            Time.valueOf("01:02:03"), (short) 2026, "äö", new byte[]{0, 1, -1}, "😀'\\", new byte[]{0, 39, 92}, "b", "x,y", new byte[]{2, 1}, "{\"a\": [1, null]}"};
        try (PreparedStatement s = prepare(c, "INSERT INTO types (ti, bi, f, d, de, da, dt, ts, t, y, vc, bn, tx, bl, e, st, b, j) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")) {
            execute(s, values);
            execute(s, values);
            execute(s, new Object[18]);
            // MySQL 9 calls this driver's batches of a server's statement malformed.
            boolean batches = env("DB_FLAVOR").equals("mariadb") || !options.contains("useServerPrepStmts=true");
            for (int k = 0; batches && k < 300; k++) {
                for (int i = 0; i < values.length; i++) s.setObject(i + 1, k % 7 == 0 ? null : values[i]);
                s.addBatch();
            }
            if (batches) out.println("batch " + Arrays.stream(s.executeBatch()).sum());
        }
        try (PreparedStatement s = prepare(c, "SELECT * FROM types WHERE id >= ? AND id < 6 ORDER BY id")) {
            execute(s, 1);
            execute(s, 3L);
            execute(s, "5");
            query(c, "ALTER TABLE types MODIFY ti BIGINT, ADD COLUMN later INT DEFAULT 9");
            execute(s, 5);
        }
        query(c, "SELECT * FROM types WHERE id IN (1, 3)");
        try (PreparedStatement s = prepare(c, "INSERT INTO types (id) VALUES (?)")) {
            execute(s, 1);
            for (int id : new int[]{2000, 2001, 1, 2002}) { s.setInt(1, id); s.addBatch(); }
            try { s.executeBatch(); } catch (BatchUpdateException e) { out.println(Arrays.toString(e.getUpdateCounts())); failure(e); }
        } catch (SQLException e) { failure(e); }
        try (PreparedStatement s = prepare(c, "SELECT nothing FROM types WHERE id = ?")) { execute(s, 1); } catch (SQLException e) { failure(e); }
        try (PreparedStatement s = prepare(c, "ALTER TABLE types DROP COLUMN later")) { execute(s); execute(s); } catch (SQLException e) { failure(e); }
        try (Statement s = c.createStatement()) {
            s.addBatch("INSERT INTO types (id) VALUES (3000)");
            s.addBatch("UPDATE types SET y = 2000 WHERE id > 2999");
            s.addBatch("INSERT INTO types (id) VALUES (3000)");
            s.addBatch("INSERT INTO types (id) VALUES (3001)");
            try { s.executeBatch(); } catch (BatchUpdateException e) { out.println(Arrays.toString(e.getUpdateCounts())); failure(e); }
        }
    }

    static void several(Connection c, Connection other) throws Exception {
        query(c, "CREATE TABLE n (i INT PRIMARY KEY, v VARCHAR(100))");
        query(c, "INSERT INTO n WITH RECURSIVE r AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM r WHERE i < 500) SELECT i, REPEAT('v', i MOD 100) FROM r");
        query(c, "SELECT i, v FROM n ORDER BY i", 7); // streamed
        try (Statement s = c.createStatement()) { // and left half read
            s.setFetchSize(3);
            ResultSet r = s.executeQuery("SELECT i FROM n ORDER BY i");
            for (int i = 0; i < 5; i++) r.next();
            out.println("half " + r.getInt(1));
        }
        query(c, "CREATE PROCEDURE several(IN a INT, OUT o INT) BEGIN SELECT a AS first, 'x'; SELECT i FROM n WHERE i <= a; SET o = a * 2; INSERT INTO n VALUES (1000 + a, NULL); SELECT 1/0; END");
        try (CallableStatement s = c.prepareCall("{call several(?, ?)}")) {
            s.setInt(1, 3);
            s.registerOutParameter(2, Types.INTEGER);
            results(s, s.execute());
            out.println("out " + s.getInt(2));
            s.setInt(1, 3);
            results(s, s.execute());
        } catch (SQLException e) { failure(e); }
        query(c, "SELECT 1 AS a; INSERT INTO n VALUES (2000, 'multi'); SELECT * FROM n WHERE i = 2000; DELETE FROM n WHERE i = 2000; DO 1");
        query(c, "SELECT 1; SELEKT 2; SELECT 3");
        query(c, "SELECT i, CASE WHEN i < 400 THEN 1 ELSE (SELECT i FROM n) END FROM n WHERE i > 398");
        query(c, "SET sql_mode = ''");
        query(c, "INSERT INTO types (bi, e) VALUES (-1, 'far too long')");
        c.setAutoCommit(false);
        query(c, "INSERT INTO n VALUES (3000, 'a')");
        query(other, "SELECT COUNT(*) FROM n WHERE i = 3000");
        c.rollback();
        Savepoint p = c.setSavepoint("here");
        query(c, "INSERT INTO n VALUES (3001, 'b')");
        c.rollback(p);
        query(c, "INSERT INTO n VALUES (3002, 'b')");
        c.commit();
        query(other, "SELECT COUNT(*) FROM n WHERE i BETWEEN 3000 AND 3002");
        c.setAutoCommit(true);
        c.setTransactionIsolation(Connection.TRANSACTION_READ_COMMITTED);
        c.setReadOnly(true);
        query(c, "SELECT 1");
        c.setReadOnly(false);
        c.setCatalog("information_schema");
        query(c, "SELECT DATABASE()");
        c.setCatalog(env("DB_NAME"));
        out.println("valid " + c.isValid(10));
        DatabaseMetaData m = c.getMetaData();
        out.println(m.getDatabaseProductName() + " " + m.getDatabaseProductVersion() + " " + m.getDriverVersion());
        try (ResultSet r = m.getColumns(env("DB_NAME"), null, "types", "%")) { rows(r); }
        try (ResultSet r = m.getPrimaryKeys(env("DB_NAME"), null, "n")) { rows(r); }
    }

    static void infile(Connection c) throws Exception {
        query(c, "CREATE TABLE loaded (i INT PRIMARY KEY, v VARCHAR(100))");
        StringBuilder b = new StringBuilder();
        for (int i = 0; i < 20000; i++) b.append(i).append("\trow ").append(i).append(' ').append("x".repeat(i % 150)).append('\n');
        Files.writeString(Path.of("rows"), b);
        query(c, "LOAD DATA LOCAL INFILE 'rows' INTO TABLE loaded");
        query(c, "SELECT COUNT(*), SUM(CRC32(v)) FROM loaded");
        query(c, "LOAD DATA LOCAL INFILE 'nothing' INTO TABLE loaded");
        query(c, "LOAD DATA LOCAL INFILE 'rows' INTO TABLE nowhere");
        query(c, "SELECT 'after'");
    }

    static void packets(Connection c) throws Exception {
        query(c, "CREATE TABLE big (id INT PRIMARY KEY AUTO_INCREMENT, v LONGBLOB)");
        byte[] v = new byte[17 << 20];
        for (int i = 0; i < v.length; i++) v[i] = (byte) (i * 31 + (i >> 10));
        try (PreparedStatement s = prepare(c, "INSERT INTO big (v) VALUES (?)")) {
            execute(s, (Object) v);
            s.setBinaryStream(1, new ByteArrayInputStream(v));
            results(s, s.execute());
            s.setCharacterStream(1, new StringReader("ä".repeat(9 << 20)));
            results(s, s.execute());
        }
        try (PreparedStatement s = prepare(c, "SELECT id, v, MD5(v) FROM big")) { execute(s); }
        query(c, "SELECT id, v FROM big", 1);
    }

    static void cancel(Connection c, Connection other) throws Exception {
        try (Statement s = c.createStatement()) {
            Thread t = new Thread(() -> {
                try { results(s, s.execute("SELECT SLEEP(30), 'slept'")); }
                catch (SQLException e) { failure(e); }
                catch (Exception e) { out.println(e); }
            });
            t.start();
            try (Statement w = other.createStatement()) {
                for (boolean seen = false; !seen; ) {
                    ResultSet r = w.executeQuery("SELECT COUNT(*) FROM information_schema.processlist WHERE state = 'User sleep' AND db = DATABASE()");
                    seen = r.next() && r.getInt(1) > 0;
                }
            }
            s.cancel(); // KILL QUERY, by a connection of its own
            t.join();
        }
        try (Statement s = c.createStatement()) { // the driver's timer does the same
            s.setQueryTimeout(1);
            results(s, s.execute("SELECT SLEEP(30), 'slept'"));
        } catch (SQLException e) { failure(e); }
        query(c, "SELECT 'alive'");
    }

    static void talk(String options) throws Exception {
        out.println("options " + options);
        try (Connection c = dial(env("DB_USER"), env("DB_PASSWORD"), env("DB_NAME"), options); Connection other = dial(env("DB_USER"), env("DB_PASSWORD"), env("DB_NAME"), options)) {
            query(c, "SELECT attr_name, attr_value FROM performance_schema.session_connect_attrs WHERE processlist_id = CONNECTION_ID() AND attr_name IN ('talk', '_client_name') ORDER BY 1");
            query(c, "SHOW SESSION STATUS LIKE 'Ssl_version'");
            statements(c, options);
            several(c, other);
            infile(c);
            if (env("DB_BIG").equals("1") && options.contains("useServerPrepStmts=true")) packets(c);
            cancel(c, other);
            query(c, "DROP PROCEDURE several");
            query(c, "DROP TABLE IF EXISTS types, n, loaded, big");
        }
    }

    public static void main(String[] args) throws Exception {
        refused("nobody", "x", env("DB_NAME"));
        refused(env("DB_USER"), "wrong", env("DB_NAME"));
        refused(env("DB_USER"), env("DB_PASSWORD"), "nowhere");
        // Statements prepared by the server, and by the driver; bulk execution is MariaDB's.
        boolean mariadb = env("DB_FLAVOR").equals("mariadb");
        talk("useServerPrepStmts=true&cachePrepStmts=true&useBatchMultiSend=" + mariadb + "&useBulkStmts=" + mariadb);
        talk("tinyInt1isBit=false&useBulkStmts=false&useBatchMultiSend=" + mariadb); // pipelines
        out.println("end");
    }
}
