package page

import (
	"database/sql"
	"fmt"
	"net"
	"strings"
	"time"

	"midflight/throttle"
)

// lasted rounds a duration to what people want to know of it.
func lasted(d time.Duration) string {
	switch {
	case d < 10*time.Second:
		return d.Round(10 * time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}

// percent is 100 when all rows are copied.
func percent(m shown) string { return fmt.Sprintf("%.0f", 100*m.Progress) }

func clock(t any) string {
	const layout = "2006-01-02 15:04:05"
	switch t := t.(type) {
	case time.Time:
		if !t.IsZero() {
			return t.UTC().Format(layout)
		}
	case sql.NullTime:
		if t.Valid {
			return t.Time.UTC().Format(layout)
		}
	}
	return ""
}

// millis is for the events of a detail view: a cut-over is over in some of them.
func millis(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05.000") }

// count parts thousands by blanks that don't break lines.
func count(n int64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "\u202f" + s[i:]
	}
	return s
}

// waits are what the copy has waited for, the longest first: "app_latency 12s · ratio 3s".
func waits(by map[throttle.Signal]time.Duration) string {
	var parts []string
	for _, w := range throttle.Waits(by) {
		if w.For >= time.Second {
			parts = append(parts, fmt.Sprintf("%s %s", w.Signal, w.For.Round(time.Second)))
		}
	}
	return strings.Join(parts, " · ")
}

// share is a part of the whole.
func share(ratio float64) string { return fmt.Sprintf("%.0f %%", 100*ratio) }

// machine is a client's address without its port, which says something to nobody once the
// connection has ended.
func machine(address string) string {
	if host, _, err := net.SplitHostPort(address); err == nil {
		return host
	}
	return address
}
