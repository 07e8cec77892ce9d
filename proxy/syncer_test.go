package proxy

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/go-mysql-org/go-mysql/mysql"
	"github.com/go-mysql-org/go-mysql/replication"

	"midflight/internal/testmysql"
)

// go-mysql's syncer reads through the proxy what it reads directly.
func TestBinlogSyncer(t *testing.T) {
	each(t, func(t *testing.T, s *testmysql.Server) {
		_, addr := startProxy(t, Config{Server: s.Addr})
		s.Exec(t, "FLUSH BINARY LOGS")
		var file, ignore string
		var at uint32
		q := "SHOW BINARY LOG STATUS"
		refs := []any{&file, &at, &ignore, &ignore, &ignore}
		if s.Flavor == testmysql.MariaDB {
			q, refs = "SHOW MASTER STATUS", refs[:4]
		}
		if err := s.DB(t).QueryRow(q).Scan(refs...); err != nil {
			t.Fatal(err)
		}
		db := s.NewDatabase(t)
		s.Exec(t, "USE "+db, "CREATE TABLE t (a INT PRIMARY KEY, b LONGBLOB)", "INSERT INTO t VALUES (1, REPEAT('x', 5 << 20))",
			"UPDATE t SET b = 'y'", "DELETE FROM t", "DROP TABLE t")
		read := func(addr string) (events []string) {
			host, port, _ := net.SplitHostPort(addr)
			n, _ := strconv.Atoi(port)
			syncer := replication.NewBinlogSyncer(replication.BinlogSyncerConfig{
				ServerID: 4711, Flavor: string(s.Flavor), Host: host, Port: uint16(n), User: "root",
				HeartbeatPeriod: 100 * time.Millisecond, Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
			})
			defer syncer.Close()
			stream, err := syncer.StartSync(mysql.Position{Name: file, Pos: at})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			heartbeats := 0
			for {
				e, err := stream.GetEvent(ctx)
				if err != nil {
					t.Fatalf("after %d events: %v", len(events), err)
				}
				if e.Header.EventType == replication.HEARTBEAT_EVENT {
					if heartbeats++; heartbeats == 3 {
						return events
					}
					continue
				}
				events = append(events, fmt.Sprintf("%v %d %d", e.Header.EventType, e.Header.LogPos, len(e.RawData)))
			}
		}
		d, p := read(s.Addr), read(addr)
		if fmt.Sprint(d) != fmt.Sprint(p) || len(d) < 10 {
			t.Errorf("directly %v\nthrough %v", d, p)
		}
	})
}
