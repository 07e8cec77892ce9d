package intercept

import (
	"context"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"midflight/ghost"
	"midflight/mysqld"
	"midflight/parser"
	"midflight/proxy"
	"midflight/schema"
)

// facts are what decides a statement's meaning, asked of the session's own
// connection at that moment: nothing of it is tracked.
type facts struct {
	database  string // "" without one
	account   string // CURRENT_USER(): the name alone may be several accounts'
	found     int    // FOUND_ROWS()
	lowerCase bool   // names of tables are stored in lower case
	unlogged  string // why this session's changes are not in the binlog as usual; "": they are
	strategy  string
	cutOver   string
	async     string
	columns   string // @midflight_new_columns
	mode      parser.Mode
	settings  []ghost.Setting
}

// settings are the session variables under which ALTER TABLE gives another
// result.
var settings = []string{
	"sql_mode", "time_zone", "lc_time_names",
	"explicit_defaults_for_timestamp", "default_storage_engine", "innodb_strict_mode",
	"auto_increment_increment", "auto_increment_offset", "div_precision_increment", "default_week_format", "foreign_key_checks", "unique_checks", "max_error_count",
}

var settingsMySQL = []string{
	"old_alter_table", "sql_require_primary_key", "sql_generate_invisible_primary_key", "default_table_encryption", "show_gipk_in_create_table_and_information_schema",
}

var settingsMariaDB = []string{"old_mode", "system_versioning_alter_history", "alter_algorithm"}

// settingsOfText come last, since they say how later literals are read, and
// no server knows 'en_US' in UTF-16 (1649).
var settingsOfText = []string{"character_set_client", "collation_connection"}

// Settings are the variables of a session that decide what a schema change means, in the
// order in which another session is given them.
func Settings(f mysqld.Flavor) []string {
	more := settingsMySQL
	if f.MariaDB {
		more = settingsMariaDB
	}
	return slices.Concat(settings, more, settingsOfText)
}

// maxValue is how much of a value is read, and told of: as much as is ever right.
const maxValue = 100

func ask(ctx context.Context, c *proxy.Conn, f mysqld.Flavor) (facts, error) {
	names, gtidNext := Settings(f), "'AUTOMATIC'"
	if !f.MariaDB {
		gtidNext = "@@SESSION.gtid_next"
	}
	// A session whose clock was set has another NOW() than the server.
	const clock = "IF(ABS(UNIX_TIMESTAMP(NOW(6)) - UNIX_TIMESTAMP(SYSDATE(6))) > 2, CAST(UNIX_TIMESTAMP(NOW(6)) AS CHAR), NULL)"
	query := "SELECT /* midflight */ FOUND_ROWS(), HEX(CONVERT(DATABASE() USING utf8mb4)), @@lower_case_table_names, @@SESSION.sql_log_bin, " + gtidNext +
		", HEX(CONVERT(CURRENT_USER() USING utf8mb4))"
	for _, n := range []string{"strategy", "cutover", "async", "new_columns"} {
		query += fmt.Sprintf(", LEFT(CAST(@midflight_%s AS CHAR), %d)", n, maxValue)
	}
	query += ", " + clock
	for _, n := range names {
		query += ", @@SESSION." + n
	}
	r, err := c.Query(ctx, query+" LIMIT 1")
	if err != nil {
		return facts{}, err
	}
	if len(r.Rows) != 1 || len(r.Rows[0]) != 11+len(names) {
		return facts{}, fmt.Errorf("ask the session for its settings: %d rows", len(r.Rows))
	}
	found, err := strconv.Atoi(r.Rows[0][0].String)
	if err != nil {
		return facts{}, fmt.Errorf("ask the session for FOUND_ROWS(): %w", err)
	}
	row := r.Rows[0][1:]
	database, err := hex.DecodeString(row[0].String)
	if err != nil {
		return facts{}, fmt.Errorf("ask the session for its database: %w", err)
	}
	account, err := hex.DecodeString(row[4].String)
	if err != nil {
		return facts{}, fmt.Errorf("ask the session for its account: %w", err)
	}
	q := facts{
		found: found, database: string(database), account: string(account), lowerCase: row[1].String != "0",
		strategy: row[5].String, cutOver: row[6].String, async: row[7].String, columns: row[8].String,
	}
	if row[2].String == "0" {
		q.unlogged = "sql_log_bin is off in the session"
	} else if row[3].String != "AUTOMATIC" {
		q.unlogged = "gtid_next is set in the session"
	}
	for i, n := range names {
		if v := row[10+i]; v.Valid {
			q.settings = append(q.settings, ghost.Setting{Name: n, Value: v.String})
		}
	}
	if v := row[9]; v.Valid {
		q.settings = append(q.settings, ghost.Setting{Name: "timestamp", Value: v.String})
	}
	q.mode = parser.ParseMode(q.setting("sql_mode"))
	q.mode.MariaDB, q.mode.Version, q.mode.Charset = f.MariaDB, f.Version, q.setting("character_set_client")
	return q, nil
}

func (q facts) setting(name string) string {
	for _, s := range q.settings {
		if s.Name == name {
			return s.Value
		}
	}
	return ""
}

// readable tells whether the bytes of a text, which are in the session's character
// set, are also its UTF-8.
func (q facts) readable(text string) bool {
	charset := q.setting("character_set_client")
	switch {
	case strings.HasPrefix(charset, "utf8"):
		return true
	case charset == "swe7" || charset == "filename": // in which ASCII is something else
		return false
	}
	return isASCII(text)
}

func isASCII(s string) bool { return strings.IndexFunc(s, func(r rune) bool { return r >= 0x80 }) < 0 }

// folded: the server's letters of lower case may be others than ours.
func (q facts) folded(name string) bool {
	return q.lowerCase && strings.IndexFunc(name, func(r rune) bool { return r >= 0x80 && unicode.ToLower(r) != r }) >= 0
}

// full is a table's name as the server keeps it; its schema is "" where there is none.
func (q facts) full(n parser.Name) schema.Name {
	t := schema.Name{Schema: n.Schema, Table: n.Table}
	if t.Schema == "" {
		t.Schema = q.database
	}
	if q.lowerCase {
		t.Schema, t.Table = strings.ToLower(t.Schema), strings.ToLower(t.Table)
	}
	return t
}

// hinted lets a comment in the statement override the session's variables.
func (q *facts) hinted(hints map[string]string) {
	for name, into := range map[string]*string{"strategy": &q.strategy, "cutover": &q.cutOver, "async": &q.async, "new_columns": &q.columns} {
		if v, ok := hints[name]; ok {
			*into = v
		}
	}
}
