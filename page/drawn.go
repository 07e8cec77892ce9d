package page

import (
	"math"
	"time"

	"midflight/timeline"
)

// window is what the chart shows; chart.js has the same.
const window = 15 * time.Minute

// drawing is what chart.js draws; the moments are in milliseconds since 1970.
type drawing struct {
	Samples    [][5]float64 `json:"samples"` // at, statements and errors a second, p50 and p99 in milliseconds
	Migrations []lane       `json:"migrations"`
}

type lane struct {
	ID    int64  `json:"id"`
	Table string `json:"table"`
	Spans []span `json:"spans"`
}

type span struct {
	Phase string `json:"phase"`
	From  int64  `json:"from"`
	To    int64  `json:"to"` // 0: it lasts
}

func drawn(samples []timeline.Sample, migrations []timeline.Migration) drawing {
	d := drawing{[][5]float64{}, []lane{}}
	for _, s := range samples {
		d.Samples = append(d.Samples, [5]float64{float64(s.At.UnixMilli()), rounded(s.Rate), rounded(s.Failures), millisecondsOf(s.P50), millisecondsOf(s.P99)})
	}
	for _, m := range migrations {
		l := lane{m.ID, m.Table.String(), []span{}}
		for _, s := range m.Spans {
			to := int64(0)
			if !s.To.IsZero() {
				to = s.To.UnixMilli()
			}
			l.Spans = append(l.Spans, span{string(s.Phase), s.From.UnixMilli(), to})
		}
		d.Migrations = append(d.Migrations, l)
	}
	return d
}

func rounded(perSecond float64) float64 { return math.Round(perSecond*10) / 10 }

func millisecondsOf(d time.Duration) float64 {
	return math.Round(float64(d)/float64(time.Microsecond)) / 1000
}
