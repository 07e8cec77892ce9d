package soak

import (
	"context"
	"fmt"
	"time"

	"midflight/schema"
)

// What can come in between.
const (
	killWorker = "kill a worker"
	killDump   = "kill the binlog stream"
	pauseCopy  = "pause and resume"
	flushLogs  = "flush the binary logs"
	lockRow    = "hold row locks"
)

// disturb does one of them; what it could not do is no failure.
func (s *Site) disturb(ctx context.Context, d Disturbance, n schema.Name, number string) {
	if !sleep(ctx, d.At) {
		return
	}
	switch d.Kind {
	case flushLogs:
		s.direct.ExecContext(ctx, "FLUSH BINARY LOGS")
	case killDump:
		ids, _ := list(ctx, s.direct, "SELECT id FROM information_schema.processlist WHERE user = ? AND command LIKE 'Binlog Dump%'", account)
		for _, id := range ids {
			s.dumpKills.Add(1)
			s.direct.ExecContext(ctx, "KILL "+id)
		}
	case killWorker:
		// Statements are short: it looks until it meets one.
		for until := time.Now().Add(4 * d.For); time.Now().Before(until) && ctx.Err() == nil; {
			if id := s.migration(ctx, n); id != "" {
				ids, _ := list(ctx, s.direct, "SELECT id FROM information_schema.processlist WHERE user = ? AND info LIKE ?", account, "%/* midflight m"+id+" %")
				if len(ids) > 0 {
					s.direct.ExecContext(ctx, "KILL "+ids[0])
					return
				}
			}
		}
	case pauseCopy:
		if id := s.migration(ctx, n); id != "" {
			s.direct.ExecContext(ctx, "CALL midflight.pause("+id+")")
			sleep(ctx, d.For)
			s.direct.ExecContext(ctx, "CALL midflight.resume("+id+")")
		}
	case lockRow:
		conn, err := s.direct.Conn(ctx)
		if err != nil {
			return
		}
		defer discard(conn)
		conn.ExecContext(ctx, "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
		conn.ExecContext(ctx, "BEGIN")
		list(ctx, conn, fmt.Sprintf("SELECT 1 FROM %s WHERE %s < 20 FOR UPDATE", n.Quoted(), q(number)))
		sleep(ctx, d.For)
	}
}

// migration is the id of the latest one of the table's schema.
func (s *Site) migration(ctx context.Context, n schema.Name) string {
	ids, _ := list(ctx, s.direct, "SELECT id FROM midflight.migrations WHERE schema_name = ? ORDER BY id DESC LIMIT 1", n.Schema)
	if len(ids) == 0 {
		return ""
	}
	return ids[0]
}

func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}
