package signals

import (
	"strings"
	"testing"
	"time"
)

// follows is a row of a replica that does, with what is otherwise.
func follows(source string, other ...string) map[string]string {
	row := map[string]string{"Source_Server_Id": source, "Replica_IO_Running": "Yes", "Replica_SQL_Running": "Yes", "Seconds_Behind_Source": "0", "SQL_Delay": "0", "Last_SQL_Errno": "0", "Last_IO_Errno": "0"}
	for i := 0; i < len(other); i += 2 {
		row[other[i]] = other[i+1]
	}
	return row
}

func TestStatusOf(t *testing.T) {
	mariadb := map[string]string{"Master_Server_Id": "1", "Slave_IO_Running": "Yes", "Slave_SQL_Running": "Yes", "Seconds_Behind_Master": "7", "SQL_Delay": "5"}
	for _, c := range []struct {
		what   string
		rows   []map[string]string
		source int64
		want   status // stopped: a part of it
	}{
		{"it follows", []map[string]string{follows("1")}, 1, status{}},
		{"in MariaDB's words", []map[string]string{mariadb}, 1, status{behind: 7 * time.Second, delay: 5 * time.Second}},
		{"no replica", nil, 1, status{none: true, stopped: "no replica"}},
		{"no replica, named", nil, 0, status{none: true, stopped: "no replica"}},
		{"its SQL thread has failed", []map[string]string{follows("1", "Replica_SQL_Running", "No", "Last_SQL_Errno", "1062", "Last_SQL_Error", "Duplicate entry")}, 1, status{stopped: "it is stopped: its SQL thread does not run (error 1062: Duplicate entry)"}},
		{"it connects", []map[string]string{follows("0", "Replica_IO_Running", "Connecting", "Last_IO_Errno", "2003", "Last_IO_Error", "refused")}, 1, status{stopped: "it is cut off: its IO thread does not run (error 2003: refused)"}},
		{"nothing is told", []map[string]string{{}}, 0, status{stopped: "it is stopped"}},
		{"it follows another now", []map[string]string{follows("9")}, 1, status{none: true, stopped: "another server"}},
		{"one of two sources", []map[string]string{follows("9", "SQL_Delay", "3600", "Replica_SQL_Running", "No"), follows("1")}, 1, status{}},
		// Another source's delay would hide an hour of lag.
		{"named, of two sources", []map[string]string{follows("9", "SQL_Delay", "3600"), follows("1")}, 0, status{}},
		{"named, one of them is stopped", []map[string]string{follows("9"), follows("1", "Replica_SQL_Running", "No")}, 0, status{stopped: "it is stopped"}},
	} {
		got := statusOf(c.rows, c.source)
		if got.none != c.want.none || got.behind != c.want.behind || got.delay != c.want.delay || (got.stopped == "") != (c.want.stopped == "") || !strings.Contains(got.stopped, c.want.stopped) {
			t.Errorf("%s: %+v", c.what, got)
		}
	}
}

func TestSince(t *testing.T) {
	entered := time.Unix(1000, 0)
	after := func(d time.Duration) time.Time { return entered.Add(d) }
	for _, c := range []struct {
		what      string
		s         status
		now, sent time.Duration // since rows are copied
		want      time.Duration
	}{
		{"the latest is here", status{}, time.Second, 950 * time.Millisecond, 0},
		{"it is late", status{}, 10 * time.Second, 2 * time.Second, 7900 * time.Millisecond},
		{"none was sent yet", status{}, 100 * time.Millisecond, -time.Hour, 0},
		{"none has come", status{}, 5 * time.Second, -time.Hour, 4900 * time.Millisecond},
		{"it was late before", status{behind: time.Minute}, time.Second, -time.Hour, time.Minute},
		{"late on purpose", status{delay: time.Hour, behind: time.Hour}, time.Second, -2 * time.Hour, 0},
		{"later than on purpose", status{delay: time.Hour}, 2 * time.Hour, time.Minute, 59*time.Minute - 100*time.Millisecond},
	} {
		if got := c.s.since(after(c.now), after(c.sent), entered); got != c.want {
			t.Errorf("%s: %s, want %s", c.what, got, c.want)
		}
	}
}
