package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"midflight/proxy"
)

// Commands registers the series of what sessions do, read from stats when
// somebody scrapes: counting them costs the sessions no lock.
func (m *Metrics) Commands(stats func() proxy.Stats) {
	m.Registry.MustRegister(&commands{stats})
}

type commands struct{ stats func() proxy.Stats }

var (
	commandsTotal = prometheus.NewDesc("midflight_commands_total",
		"Commands of clients that were forwarded.", []string{"command"}, nil)
	commandsFailed = prometheus.NewDesc("midflight_commands_failed_total",
		"Commands that the server answered with an error.", []string{"command"}, nil)
	commandSeconds = prometheus.NewDesc("midflight_command_duration_seconds",
		"From a command's first bytes to its answer's last, holds included, as clients feel it.", []string{"command"}, nil)
	bytesTotal = prometheus.NewDesc("midflight_bytes_total",
		"Bytes carried, by where they came from.", []string{"from"}, nil)
)

func (c *commands) Describe(ch chan<- *prometheus.Desc) {
	ch <- commandsTotal
	ch <- commandsFailed
	ch <- commandSeconds
	ch <- bytesTotal
}

func (c *commands) Collect(ch chan<- prometheus.Metric) {
	s := c.stats()
	ch <- prometheus.MustNewConstMetric(bytesTotal, prometheus.CounterValue, float64(s.FromClients), "client")
	ch <- prometheus.MustNewConstMetric(bytesTotal, prometheus.CounterValue, float64(s.FromServers), "server")
	for _, k := range s.Commands {
		if k.Begun == 0 {
			continue
		}
		ch <- prometheus.MustNewConstMetric(commandsTotal, prometheus.CounterValue, float64(k.Begun), k.Command)
		if k.Latency.Count == 0 {
			continue // it has no answer
		}
		ch <- prometheus.MustNewConstMetric(commandsFailed, prometheus.CounterValue, float64(k.Failed), k.Command)
		ch <- prometheus.MustNewConstHistogram(commandSeconds, k.Latency.Count, k.Latency.Sum.Seconds(), buckets(k.Latency), k.Command)
	}
}

// The buckets double from 16 µs to 69 s: they are ends of the proxy's own slots,
// so that nothing is counted beside where it belongs.
const (
	shortest = 1 << 14 * time.Nanosecond
	longest  = 1 << 36 * time.Nanosecond
)

// buckets counts what is at most so long, for each bucket.
func buckets(l proxy.Latency) map[float64]uint64 {
	b := make(map[float64]uint64)
	var sum uint64
	i := 0
	for end := shortest; end <= longest; end *= 2 {
		for ; i < len(l.Slots) && l.Slots[i].End <= end; i++ {
			sum += l.Slots[i].Count
		}
		b[end.Seconds()] = sum
	}
	return b
}
