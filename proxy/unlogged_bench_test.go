package proxy

import "testing"

// What the look for sql_log_bin costs each statement.
func BenchmarkSwitchesLog(b *testing.B) {
	for name, text := range map[string]string{
		"point select": "SELECT c FROM sbtest1 WHERE id=5012",
		"long insert":  "INSERT INTO orders (customer, note) VALUES (17, '" + string(make([]byte, 2000)) + "')",
	} {
		b.Run(name, func(b *testing.B) {
			p := []byte(text)
			for b.Loop() {
				switchesLog(p)
			}
		})
	}
}
