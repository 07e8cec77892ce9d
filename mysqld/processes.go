package mysqld

import (
	"context"
	"database/sql"
	"errors"
	"strings"
)

// A Process is a connection to the server, or a thread of its own, as the process list
// shows it.
type Process struct {
	ID        uint64
	User      string
	Host      string // without its port; an IPv6 address has no brackets
	Command   string
	State     string
	Statement string
}

// IsBinlogDump: it reads the binlog, as a replica or as if it were one.
func (p Process) IsBinlogDump() bool { return strings.HasPrefix(p.Command, "Binlog Dump") }

// Processes lists what the account may see, statements cut to 100 characters.
//
// It is not read from information_schema.processlist: MySQL converts the statements in
// there to utf8mb3, and whatever is asked of it fails with error 3854 as long as anybody
// executes a statement with, say, an emoji (seen with 9.7.4).
func Processes(ctx context.Context, q Queryer) ([]Process, error) {
	return processes(ctx, q, "SHOW /* midflight */ PROCESSLIST")
}

// FullProcesses lists what Processes does, with whole statements.
func FullProcesses(ctx context.Context, q Queryer) ([]Process, error) {
	return processes(ctx, q, "SHOW /* midflight */ FULL PROCESSLIST")
}

func processes(ctx context.Context, q Queryer, show string) ([]Process, error) {
	rows, err := q.QueryContext(ctx, show)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	var all []Process
	for rows.Next() {
		var p Process
		var user, host, state, statement sql.NullString
		var others sql.RawBytes
		into := []any{&p.ID, &user, &host, &others, &p.Command, &others, &state, &statement}
		for len(into) < len(columns) { // MariaDB's Progress
			into = append(into, &others)
		}
		if err := rows.Scan(into...); err != nil {
			return nil, err
		}
		p.User, p.Host, p.State, p.Statement = user.String, hostOf(host.String), state.String, statement.String
		all = append(all, p)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, errNoProcesses
	}
	return all, nil
}

// errNoProcesses: not even ours is shown. Whoever asks whether a session has ended must not
// take that for a yes.
var errNoProcesses = errors.New("the server shows no processes: SET GLOBAL performance_schema_show_processlist = OFF")

// hostOf a client, of HOST:PORT as the process list has it: an IPv6 address has no brackets.
func hostOf(client string) string {
	if i := strings.LastIndexByte(client, ':'); i >= 0 {
		return client[:i]
	}
	return client
}
