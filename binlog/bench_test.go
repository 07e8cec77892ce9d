package binlog

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"midflight/internal/testmysql"
)

// BenchmarkUnwatched reads 1 M rows of 200 bytes that nobody wants, as a migration's
// own copy writes them, and tells the processor time of both ends per GB.
func BenchmarkUnwatched(b *testing.B) {
	for _, f := range []testmysql.Flavor{testmysql.MySQL, testmysql.MariaDB} {
		b.Run(fmt.Sprint(f), func(b *testing.B) {
			n := newBench(b, testmysql.Start(b, f, "--binlog-cache-size=16777216"))
			rows := "INSERT INTO copied (x) SELECT REPEAT('a', 200) FROM digits d1, digits d2, digits d3, digits d4, digits d5"
			n.exec("CREATE TABLE t (id INT PRIMARY KEY)", "CREATE TABLE copied (id INT PRIMARY KEY AUTO_INCREMENT, x VARCHAR(250) NOT NULL)",
				"CREATE TABLE digits (d INT)", "INSERT INTO digits VALUES (0), (1), (2), (3), (4), (5), (6), (7), (8), (9)")
			from := n.start()
			for range 10 {
				n.exec(rows)
			}
			size := n.logged()
			var ours, dump, wall time.Duration
			for b.Loop() {
				s := n.open(from, n.watch("t"))
				task := fmt.Sprintf("/proc/%d/task/%d/stat", n.s.Pid(), n.dumpThread())
				dump0, ours0, began := ticks(b, task), cpu(b), time.Now()
				n.drain(s)
				ours, dump, wall = ours+cpu(b)-ours0, dump+ticks(b, task)-dump0, wall+time.Since(began)
				s.Close()
			}
			gb := float64(size) * float64(b.N) / 1e9
			b.ReportMetric(float64(ours.Milliseconds())/gb, "our-ms/GB")
			b.ReportMetric(float64(dump.Milliseconds())/gb, "dump-ms/GB")
			b.ReportMetric(float64(wall.Milliseconds())/gb, "wall-ms/GB")
		})
	}
}

// logged is the size of the binlog files.
func (b *bench) logged() (size int64) {
	b.Helper()
	rows, err := b.db.Query("SHOW BINARY LOGS")
	if err != nil {
		b.Fatal(err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		b.Fatal(err)
	}
	for rows.Next() {
		var name, encrypted string
		var n int64
		if err := rows.Scan([]any{&name, &n, &encrypted}[:len(columns)]...); err != nil {
			b.Fatal(err)
		}
		size += n
	}
	return size
}

// dumpThread is the id that the system has for the thread that sends the binlog.
func (b *bench) dumpThread() (id int) {
	b.Helper()
	query := "SELECT thread_os_id FROM performance_schema.threads WHERE processlist_command LIKE 'Binlog Dump%' ORDER BY processlist_id DESC LIMIT 1"
	if b.flavor.MariaDB {
		query = "SELECT tid FROM information_schema.processlist WHERE command LIKE 'Binlog Dump%' ORDER BY id DESC LIMIT 1"
	}
	if err := b.db.QueryRow(query).Scan(&id); err != nil {
		b.Fatal(err)
	}
	return id
}

// ticks is a thread's processor time, in hundredths of a second.
func ticks(b *testing.B, path string) time.Duration {
	b.Helper()
	stat, err := os.ReadFile(path)
	if err != nil {
		b.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	fields := strings.Fields(rest)
	user, err := strconv.Atoi(fields[11])
	if err != nil {
		b.Fatal(err)
	}
	system, err := strconv.Atoi(fields[12])
	if err != nil {
		b.Fatal(err)
	}
	return time.Duration(user+system) * 10 * time.Millisecond
}

func cpu(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
