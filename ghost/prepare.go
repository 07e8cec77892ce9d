package ghost

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-sql-driver/mysql"

	"midflight/ghost/plan"
	"midflight/ghost/rowsql"
	"midflight/mysqld"
	"midflight/parser"
	"midflight/schema"
)

// A scratch is a schema of one migration's own, where the user's statement is
// tried on empty tables. A table there has the original's name, so that the
// server's errors read as they would for the original.
type scratch struct {
	schema string
	table  schema.Name // altered, empty: for telling duplicates (explain.go)
}

func newScratch(id int64, original schema.Name) scratch {
	s := fmt.Sprintf("%s%d", ourSchemas, id)
	return scratch{schema: s, table: schema.Name{Schema: s, Table: original.Table}}
}

// rowsScratch is for a copy of some rows (explain.go).
func rowsScratch(id int64, original schema.Name) scratch {
	s := newScratch(id, original)
	s.schema += "_rows"
	s.table.Schema = s.schema
	return s
}

// asOriginal puts the original's schema into a text of the server's about the
// scratch table: some have the schema's name too.
func (s scratch) asOriginal(text string, original schema.Name) string {
	return strings.ReplaceAll(text, s.schema, original.Schema)
}

func (s scratch) errAsOriginal(err error, original schema.Name) error {
	var server *mysql.MySQLError
	if !errors.As(err, &server) {
		return err
	}
	as := *server
	as.Message = s.asOriginal(server.Message, original)
	return &as
}

func (s scratch) create(ctx context.Context, db mysqld.Queryer) error {
	if err := s.drop(ctx, db); err != nil {
		return err
	}
	_, err := db.ExecContext(ctx, "CREATE DATABASE /* midflight */ "+mysqld.QuoteName(s.schema))
	return wrap(err, "create the scratch schema %s", s.schema)
}

func (s scratch) drop(ctx context.Context, db mysqld.Queryer) error {
	_, err := db.ExecContext(ctx, "DROP DATABASE /* midflight */ IF EXISTS "+mysqld.QuoteName(s.schema))
	return wrap(err, "drop the scratch schema %s", s.schema)
}

// text is the user's statement for another table. OPTIMIZE TABLE is, for
// InnoDB, a rebuild.
func text(s parser.Statement, on schema.Name, algorithm, lock string) string {
	if s.Kind == parser.OptimizeTable {
		t := "ALTER TABLE " + on.Quoted() + " FORCE"
		if algorithm != "" {
			t += ", ALGORITHM=" + algorithm
		}
		return t
	}
	// MariaDB's DROP INDEX has no ALGORITHM clause; its ALTER TABLE has.
	if s.Kind == parser.DropIndex && algorithm != "" && len(s.Actions) == 1 && s.Actions[0].Kind == parser.DropIndexAction {
		ifExists := ""
		if s.Actions[0].IfExists {
			ifExists = "IF EXISTS "
		}
		t := "ALTER TABLE " + on.Quoted() + " DROP INDEX " + ifExists + mysqld.QuoteName(s.Actions[0].Name) + ", ALGORITHM=" + algorithm
		if lock != "" {
			t += ", LOCK=" + lock
		}
		return t
	}
	// LOCK=NONE is what the copy does; the server would refuse it for a change
	// that it can't do in place.
	if lock == "" && s.Lock == "NONE" && (s.Algorithm == "" || s.Algorithm == "COPY") && algorithm == "" {
		lock = "DEFAULT"
	}
	return s.Rewrite(parser.Edit{Schema: on.Schema, Table: on.Table, Algorithm: algorithm, Lock: lock})
}

// probe asks the server which algorithms it would accept, on a table without
// rows.
func (r *run) probe(ctx context.Context, conn *sql.Conn, plain *worker) (plan.Probe, error) {
	statement, f := r.request.Statement, r.Flavor
	p := plan.Probe{Copies: r.request.copies()}
	if converts(statement) && !strings.EqualFold(r.original.Engine, "InnoDB") { // MariaDB accepts ALGORITHM=INSTANT, and copies
		p.Copies = true
		return p, nil
	}
	// The name is plain, so that it is the same in InnoDB's own catalogue.
	t := schema.Name{Schema: r.scratch.schema, Table: "probe"}
	if t.Table == r.scratch.table.Table {
		t.Table = "probe_"
	}
	if err := r.makeTwin(ctx, plain, t); err != nil {
		return p, err
	}
	// A CHECK constraint that it has got would keep its name from the next table.
	defer conn.ExecContext(context.WithoutCancel(ctx), "DROP TABLE /* midflight */ IF EXISTS "+t.Quoted())
	before, err := innodbIDs(ctx, conn, f, t)
	if err != nil {
		return p, err
	}
	if statement.Kind == parser.AlterTable && !r.copyOnly {
		_, err := conn.ExecContext(ctx, text(statement, t, "INSTANT", ""))
		if err == nil {
			// MariaDB accepts INSTANT for PARTITION BY and REMOVE PARTITIONING, too,
			// and copies. (Seen on 10.11.)
			after, err := innodbIDs(ctx, conn, f, t)
			p.Instant = !anyNew(before, after) && !anyNew(tablesOf(after), tablesOf(before))
			p.Copies = p.Copies || !p.Instant
			return p, err
		}
		if !mysqld.IsServerError(err) {
			return p, err
		}
	}
	if _, err := conn.ExecContext(ctx, text(statement, t, "INPLACE", "NONE")); err != nil {
		if !mysqld.IsServerError(err) {
			return p, err
		}
		// A real error of the statement shows when it is tried in full. In place
		// with a lock (ADD FULLTEXT) is no copy either.
		_, err := conn.ExecContext(ctx, text(statement, t, "INPLACE", "DEFAULT"))
		p.Copies = p.Copies || err != nil
		if err != nil && !mysqld.IsServerError(err) {
			return p, err
		}
		return p, nil
	}
	p.InPlace = true
	if r.copyOnly {
		return p, nil
	}
	after, err := innodbIDs(ctx, conn, f, t)
	if err != nil {
		return p, err
	}
	// A rebuild gives the table a new id, and on MariaDB an index that is built has
	// one.
	p.Metadata = !anyNew(before, after) && (f.MariaDB || !plan.BuildsIndex(statement))
	return p, nil
}

func anyNew(before, after []string) bool {
	return slices.ContainsFunc(after, func(id string) bool { return !slices.Contains(before, id) })
}

func tablesOf(ids []string) []string {
	return slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return id[0] != 't' })
}

// converts: the statement names a storage engine.
func converts(s parser.Statement) bool {
	return slices.ContainsFunc(s.Actions, func(a parser.Action) bool { return a.Kind == parser.Engine })
}

// innodbIDs are ids of the table that are others after it was rebuilt; each
// partition has its own. On MariaDB they are those of the indexes, too.
//
// MySQL's innodb_tables would have these, but to ask it waits for every table of the
// server on which somebody waits for an exclusive lock. The tablespaces are read
// from the dictionary alone; only a table that has none of its own needs the other.
func innodbIDs(ctx context.Context, conn *sql.Conn, f mysqld.Flavor, t schema.Name) ([]string, error) {
	plain := t.Schema + "/" + t.Table
	parts := plain + "#p#%"
	if !f.MariaDB {
		ids, err := readIDs(ctx, conn, t, "SELECT /* midflight */ CONCAT('t', space) FROM information_schema.innodb_tablespaces_brief WHERE name = ? OR name LIKE ?", plain, parts)
		if err != nil || len(ids) > 0 {
			return ids, err
		}
		return readIDs(ctx, conn, t, "SELECT /* midflight */ CONCAT('t', table_id) FROM information_schema.innodb_tables WHERE name = ? OR name LIKE ?", plain, parts)
	}
	return readIDs(ctx, conn, t, `SELECT /* midflight */ CONCAT('t', table_id) FROM information_schema.innodb_sys_tables WHERE name = ? OR name LIKE ?
UNION ALL SELECT CONCAT('i', i.index_id) FROM information_schema.innodb_sys_indexes i JOIN information_schema.innodb_sys_tables t ON t.table_id = i.table_id WHERE t.name = ? OR t.name LIKE ?`,
		plain, parts, plain, parts)
}

func readIDs(ctx context.Context, conn *sql.Conn, t schema.Name, query string, args ...any) ([]string, error) {
	rows, err := conn.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("read the ids of %s: %w", t, err)
	}
	defer rows.Close()
	var ids []string
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, rows.Err()
}

// prepare plans the migration; for a copy it leaves an empty, altered shadow
// table behind. An error of the user's statement is the server's own.
func (r *run) prepare(ctx context.Context) (plan.Plan, []Warning, error) {
	ddl := r.worker(scratchSession(r.request.Settings)...)
	defer ddl.close()
	plain := r.plainWorker()
	defer plain.close()
	var p plan.Plan
	var warnings []Warning
	err := ddl.use(ctx, func(conn *sql.Conn) (err error) {
		if err := r.scratch.create(ctx, conn); err != nil {
			return err
		}
		// Not by conn: its time zone counts in what the server shows, and
		// PAD_CHAR_TO_FULL_LENGTH pads a CHAR's default on MariaDB.
		original, err := r.readTable(ctx, r.status.ID, r.request.Table)
		if err != nil {
			return err
		}
		r.original = original
		r.status.RowsTotal = original.Rows
		// Where an expression names a table, that is not to be missing a database.
		if _, err := conn.ExecContext(ctx, "USE "+mysqld.QuoteName(r.scratch.schema)); err != nil {
			return err
		}
		if plan.NamesForeignKey(r.request.Statement, original) && !r.request.Async {
			p = plan.Plan{Path: plan.Direct, Reason: "it names a foreign key"}
			return nil
		}
		if !r.apart() {
			if refusal := plan.Untried(r.request.Statement, original, r.Flavor.MariaDB); refusal != nil {
				p, err = r.smallOr(ctx, refusal)
				return err
			}
		}
		asked, err := r.probe(ctx, conn, plain)
		if err != nil {
			return err
		}
		if err := r.makeTwin(ctx, plain, r.scratch.table); err != nil {
			return err
		}
		// Here the server's verdict on the statement itself comes out.
		if _, err := conn.ExecContext(ctx, text(r.request.Statement, r.scratch.table, "", "")); err != nil {
			return r.scratch.errAsOriginal(err, original.Name)
		}
		if warnings, err = showWarnings(ctx, conn); err != nil {
			return err
		}
		for i := range warnings {
			warnings[i].Message = r.scratch.asOriginal(warnings[i].Message, original.Name)
		}
		p, err = r.choose(ctx, conn, plain, asked)
		return err
	})
	return p, warnings, err
}

func (r *run) choose(ctx context.Context, conn *sql.Conn, plain *worker, asked plan.Probe) (plan.Plan, error) {
	p, ok, refusal := plan.WithoutCopy(r.request.Statement, r.request.Strategy, asked)
	if refusal != nil {
		return p, refusal
	}
	if ok && p.Path != plan.InPlace {
		if err := r.mustFitRowsOfOthers(ctx); errors.As(err, &refusal) {
			return r.smallOr(ctx, refusal)
		} else if err != nil {
			return p, err
		}
		return p, nil
	}
	if err := r.mustBeWrittenHereOnly(ctx); errors.As(err, &refusal) {
		return r.smallOr(ctx, refusal)
	} else if err != nil {
		return p, err
	}
	if ok {
		return p, nil
	}
	if r.early == nil && !r.dry {
		r.early = subscribeEarly(ctx, r.hub)
	}
	strict, err := isStrict(ctx, conn)
	if err != nil {
		return p, err
	}
	altered, err := schema.Read(ctx, r.DB, r.scratch.table)
	if err != nil {
		return p, err
	}
	asked.Strict = strict
	asked.PadsChar = strings.Contains(r.setting("sql_mode"), "PAD_CHAR_TO_FULL_LENGTH")
	p, refusal = plan.Make(r.request.Statement, r.original, altered, asked, r.Flavor.MariaDB)
	if refusal != nil {
		return r.smallOr(ctx, refusal)
	}
	if !strict && p.Converts() {
		// The warnings name each row that loses a part of its value.
		direct, err := r.ifSmall(ctx, "outside strict mode the server warns of each value that it changes")
		if err != nil || direct.Path == plan.Direct {
			return direct, err
		}
	}
	for _, check := range []func(context.Context) error{
		func(ctx context.Context) error { return r.freeCheckNames(ctx, altered) },
		func(ctx context.Context) error { return r.mayNumber(ctx, p) },
		r.tryTriggers,
	} {
		err := check(ctx)
		if errors.As(err, &refusal) {
			return r.smallOr(ctx, refusal)
		}
		if err != nil {
			return p, err
		}
	}
	if p, err = r.zoned(ctx, p, altered); errors.As(err, &refusal) {
		return r.smallOr(ctx, refusal)
	} else if err != nil {
		return p, err
	}
	tables := rowsql.Tables{ID: r.status.ID, Original: r.original.Name, Key: p.Key, Columns: p.Columns, Lossy: !strict, NullIsNow: !strict || r.Flavor.MariaDB, CutsTexts: r.Flavor.MariaDB, First: firstNumber(r.request.Statement)}
	if r.resume != nil {
		return r.adopt(ctx, conn, p, tables)
	}
	if err := r.mustHaveRoom(ctx); errors.As(err, &refusal) {
		return r.smallOr(ctx, refusal)
	} else if err != nil {
		return p, err
	}
	shadow, old := shadowName(r.original.Name, r.status.ID), oldName(r.original.Name, r.status.ID)
	if r.apart() {
		shadow, old = apartShadow(r.original.Name, r.status.ID), apartOld(r.original.Name, r.status.ID)
	}
	for _, t := range []schema.Name{shadow, old} {
		err := r.mustBeFree(ctx, t)
		if errors.As(err, &refusal) {
			return r.smallOr(ctx, refusal)
		}
		if err != nil {
			return p, err
		}
	}
	if r.dry {
		return r.tryOnScratch(ctx, conn, p, tables)
	}
	if err := r.Store.Claim(ctx, r.status.ID, shadow); err != nil {
		return p, err
	}
	if r.apart() {
		if err := r.makeApart(ctx, shadow, old); err != nil {
			return p, err
		}
	}
	if err := r.makeTwin(ctx, plain, shadow); err != nil {
		return p, err
	}
	r.shadow, r.oldAs = shadow, old
	if _, err := conn.ExecContext(ctx, text(r.request.Statement, shadow, "", "")); err != nil {
		return p, err
	}
	if tables.Started, err = readTime(ctx, conn); err != nil {
		return p, err
	}
	tables.Shadow = shadow
	r.tables = tables
	if p, err = r.makeHelper(ctx, p); err != nil || p.Path != plan.Copy {
		return p, err
	}
	if err := r.deferIndexes(ctx, altered, p); err != nil {
		return p, err
	}
	return p, r.describeShadow(ctx, conn)
}

// mustBeFree refuses to touch a table that we did not make, and drops one of
// ours that an earlier migration left or kept.
func (r *run) mustBeFree(ctx context.Context, t schema.Name) error {
	there, err := schema.Exists(ctx, r.DB, t)
	if err != nil || !there {
		return err
	}
	ours, err := r.Store.Ours(ctx, t)
	if err != nil {
		return err
	}
	if !ours {
		return &plan.Refusal{
			Reason: fmt.Sprintf("Midflight needs the name %s, and a table that it did not make has it", t),
			Hint:   "Rename or drop that table",
		}
	}
	if r.dry {
		return nil
	}
	return wrap(r.drop(ctx, t), "an earlier migration's table")
}

// isStrict: the session refuses values that don't fit instead of cutting them.
func isStrict(ctx context.Context, conn *sql.Conn) (bool, error) {
	var mode string
	err := conn.QueryRowContext(ctx, "SELECT /* midflight */ @@SESSION.sql_mode").Scan(&mode)
	return strings.Contains(mode, "STRICT_"), wrap(err, "read sql_mode")
}

// readTime is the session's time, for columns that are added with DEFAULT
// CURRENT_TIMESTAMP: ALTER TABLE gives all rows its own start.
func readTime(ctx context.Context, conn *sql.Conn) (rowsql.Start, error) {
	var now rowsql.Start
	err := conn.QueryRowContext(ctx, "SELECT /* midflight */ CAST(NOW(6) AS CHAR), CAST(UNIX_TIMESTAMP(NOW(6)) AS CHAR)").Scan(&now.Local, &now.Unix)
	return now, wrap(err, "read the time")
}

func showWarnings(ctx context.Context, conn *sql.Conn) ([]Warning, error) {
	rows, err := conn.QueryContext(ctx, "SHOW WARNINGS")
	if err != nil {
		return nil, fmt.Errorf("show warnings: %w", err)
	}
	defer rows.Close()
	var warnings []Warning
	for rows.Next() {
		var w Warning
		if err := rows.Scan(&w.Level, &w.Code, &w.Message); err != nil {
			return nil, err
		}
		warnings = append(warnings, w)
	}
	return warnings, rows.Err()
}

// wrap says what was being done; nil stays nil.
func wrap(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf(format+": %w", append(args, err)...)
}
