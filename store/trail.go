package store

import (
	"context"
	"database/sql"
	"encoding/hex"
	"fmt"
	"strings"

	"midflight/ghost"
	"midflight/schema"
)

// A Statement is a schema change that is no migration: the server ran it as it was sent,
// or it was refused.
type Statement struct {
	Table             schema.Name // the first that it names
	Text              string
	Charset           string // that the text is in, and the names from it; "": UTF-8
	Verdict, Reason   string
	Migration         int64 // that left it to the server; 0: none
	User, Host        string
	Session           uint32
	Account, Database string
	Err               *ghost.ServerError // of one that is refused
}

// The verdicts are a contract.
const (
	Forwarded = "forwarded"
	Refused   = "refused"
	Said      = "said" // an operator's word that is about no migration
)

// longest is how much of a statement's text is kept, in bytes: a packet may have a
// gigabyte.
const longest = 64 << 10

// Came records a statement before the server runs it, or with its refusal, and returns
// its id.
func (s *Store) Came(ctx context.Context, st Statement) (int64, error) {
	text := s.readable(ctx, st.Text[:min(len(st.Text), longest)], st.Charset)
	st.Table.Table = s.readable(ctx, st.Table.Table, st.Charset)
	if st.Table.Schema != st.Database { // which the server has told, in UTF-8
		st.Table.Schema = s.readable(ctx, st.Table.Schema, st.Charset)
	}
	number, message := errorOf(st.Err)
	result, err := s.db.ExecContext(ctx, `INSERT /* midflight */ INTO midflight.statements
(happened_at, ended_at, schema_name, table_name, statement, verdict, reason, migration_id, error_number, error, user, host, connection_id, account, database_name, ran_by)
VALUES (UTC_TIMESTAMP(6), IF(? = 'refused', UTC_TIMESTAMP(6), NULL), ?, ?, ?, ?, ?, NULLIF(?, 0), ?, ?, ?, ?, ?, ?, ?, ?)`,
		st.Verdict, st.Table.Schema, st.Table.Table, text, st.Verdict, st.Reason, st.Migration, number, message,
		st.User, st.Host, st.Session, st.Account, st.Database, runner())
	if err != nil {
		return 0, fmt.Errorf("record a statement in midflight.statements: %w", err)
	}
	return result.LastInsertId()
}

// readable is a text in UTF-8. What is none the server would cut off where it begins, and
// would say nothing.
func (s *Store) readable(ctx context.Context, text, charset string) string {
	if charset != "" && text != "" && !strings.ContainsFunc(charset, func(r rune) bool { return r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') }) {
		var converted sql.NullString // NULL: it isn't in that character set either
		err := s.db.QueryRowContext(ctx, "SELECT /* midflight */ CONVERT(CONVERT(UNHEX(?) USING "+charset+") USING utf8mb4)", hex.EncodeToString([]byte(text))).Scan(&converted)
		if err == nil && converted.Valid {
			text = converted.String
		}
	}
	return valid(text)
}

// valid is a text that a column of ours takes whole.
func valid(text string) string { return strings.ToValidUTF8(text, "?") }

// Answered records a statement's end; answer is nil when it was no error.
func (s *Store) Answered(ctx context.Context, id int64, answer *ghost.ServerError) error {
	number, message := errorOf(answer)
	_, err := s.db.ExecContext(ctx, "UPDATE /* midflight */ midflight.statements SET ended_at = UTC_TIMESTAMP(6), error_number = ?, error = ? WHERE id = ?", number, message, id)
	return wrap(err, "record a statement's end in midflight.statements")
}

func errorOf(e *ghost.ServerError) (number sql.NullInt64, message sql.NullString) {
	if e == nil {
		return number, message
	}
	return sql.NullInt64{Int64: int64(e.Number), Valid: true}, sql.NullString{String: valid(e.Message), Valid: true}
}
