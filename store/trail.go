package store

import (
	"context"
	"database/sql"
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
)

// longest is how much of a statement's text is kept, in bytes: a packet may have a
// gigabyte.
const longest = 64 << 10

// Came records a statement before the server runs it, or with its refusal, and returns
// its id.
func (s *Store) Came(ctx context.Context, st Statement) (int64, error) {
	text := strings.ToValidUTF8(st.Text[:min(len(st.Text), longest)], "?")
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
	return sql.NullInt64{Int64: int64(e.Number), Valid: true}, sql.NullString{String: e.Message, Valid: true}
}
