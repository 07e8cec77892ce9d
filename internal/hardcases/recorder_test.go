package hardcases

import (
	"context"
	"database/sql"
	"fmt"
	"net"
	"regexp"
	"strings"
	"sync"

	"midflight/internal/twins"
)

// A recorder keeps the end of what a session's server has sent, for what a
// driver doesn't tell.
type recorder struct {
	net.Conn
	mu   sync.Mutex
	last []byte
}

func (r *recorder) dial(ctx context.Context, network, addr string) (c net.Conn, err error) {
	r.Conn, err = new(net.Dialer).DialContext(ctx, network, addr)
	return r, err
}

func (r *recorder) Read(p []byte) (int, error) {
	n, err := r.Conn.Read(p)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last = append(r.last, p[:n]...)
	r.last = r.last[max(0, len(r.last)-4096):]
	return n, err
}

var counts = regexp.MustCompile(`Records: \d+  Duplicates: \d+  Warnings: \d+`)

// answer is what the server said of an ALTER's rows, and the first of its
// warnings, for the table (0) or its twin (1).
func (s *scene) answer(i int, conn *sql.Conn) string {
	s.t.Helper()
	r := s.heard[conn]
	r.mu.Lock()
	said := counts.FindAllString(string(r.last), -1)
	r.mu.Unlock()
	rows, err := conn.QueryContext(context.Background(), "SHOW WARNINGS LIMIT 1")
	if err != nil {
		s.t.Fatal(err)
	}
	defer rows.Close()
	var level, number, text string
	for rows.Next() {
		if err := rows.Scan(&level, &number, &text); err != nil {
			s.t.Fatal(err)
		}
	}
	if level == "Note" { // SIGNAL makes none
		level = "Warning"
	}
	return fmt.Sprintf("%q %s %s %s", said, level, number, strings.ReplaceAll(twins.OfAnyRow(text), s.on[i].Schema, "db"))
}
