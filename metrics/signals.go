package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"midflight/throttle"
)

// Signals registers what the signals show, read when somebody scrapes.
func (m *Metrics) Signals(readings func() []throttle.Reading) {
	m.Registry.MustRegister(signals(readings))
}

type signals func() []throttle.Reading

func ofSignal(name, help string) *prometheus.Desc {
	return prometheus.NewDesc("midflight_signal_"+name, help, []string{"signal", "of"}, nil)
}

var (
	signalValue = ofSignal("value", "What the signal shows, in its own unit. Not there while that can't be told.")
	signalLimit = ofSignal("limit", "Beyond which nothing is copied. Not there where the signal is only shown.")
	signalLoad  = ofSignal("load_ratio", "The value in parts of the limit: above 1 nothing is copied.")
	signalOK    = ofSignal("ok", "1 while the value can be told; without it nothing is copied.")
	signalAge   = ofSignal("age_seconds", "How old the value is.")
)

func (signals) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{signalValue, signalLimit, signalLoad, signalOK, signalAge} {
		ch <- d
	}
}

func (s signals) Collect(ch chan<- prometheus.Metric) {
	now := time.Now()
	for _, r := range s() {
		gauge := func(d *prometheus.Desc, v float64) {
			ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, string(r.Signal), r.Of)
		}
		gauge(signalOK, number(r.Problem == ""))
		if r.Problem == "" {
			gauge(signalValue, r.Value)
		}
		if !r.At.IsZero() {
			gauge(signalAge, max(now.Sub(r.At), 0).Seconds())
		}
		if r.Limit == 0 {
			continue
		}
		gauge(signalLimit, r.Limit)
		if r.Problem == "" {
			gauge(signalLoad, r.Load())
		}
	}
}
