package metrics

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"midflight/ghost"
)

// Running registers the series of each migration that runs, read from statuses when
// somebody scrapes: they end with the migration.
func (m *Metrics) Running(statuses func() []ghost.Status) {
	m.Registry.MustRegister(&running{m, statuses})
}

type running struct {
	*Metrics
	statuses func() []ghost.Status
}

// phases are those that a running migration may be in.
var phases = []ghost.Phase{ghost.Queued, ghost.Preparing, ghost.Copying, ghost.CatchingUp, ghost.Verifying, ghost.Ready, ghost.CuttingOver}

func ofMigration(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("midflight_migration_"+name, help, append([]string{"migration"}, labels...), nil)
}

var (
	migrationPhase     = ofMigration("phase", "1 for the phase that the migration is in, 0 for the others.", "phase")
	migrationRows      = ofMigration("rows_copied", "Rows copied so far.")
	migrationEstimate  = ofMigration("rows_estimate", "Rows that there are to copy, as far as is known.")
	migrationProgress  = ofMigration("progress_ratio", "The part of the copy's time that is over, its indexes included.")
	migrationRate      = ofMigration("rows_per_second", "Rows copied a second, of late.")
	migrationETA       = ofMigration("eta_seconds", "Until all is copied and the indexes are built. Not there while it isn't known.")
	migrationETAError  = ofMigration("eta_error_seconds", "By how much the ETA may be off.")
	migrationBuilding  = ofMigration("building_indexes", "Indexes that are being built now.")
	migrationBacklog   = ofMigration("backlog_keys", "Changed keys that are not applied yet.")
	migrationWaiting   = ofMigration("waiting", "1 while it waits for something, which the column waiting_for of midflight.migrations names.")
	migrationBlockers  = ofMigration("blockers", "Sessions that its cut-over waits for.")
	migrationConnected = ofMigration("binlog_connected", "1 while the connection is there that the binlog comes by. Not there while none is needed.")
	migrationLag       = ofMigration("binlog_lag_seconds", "How far the reading of the binlog is behind the server. Up to two seconds are nothing.")
)

func (r *running) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{migrationPhase, migrationRows, migrationEstimate, migrationProgress, migrationRate, migrationETA, migrationETAError,
		migrationBuilding, migrationBacklog, migrationWaiting, migrationBlockers, migrationConnected, migrationLag} {
		ch <- d
	}
}

func (r *running) Collect(ch chan<- prometheus.Metric) {
	for _, s := range r.statuses() {
		if s.Phase.Terminal() {
			continue
		}
		id := strconv.FormatInt(s.ID, 10)
		gauge := func(d *prometheus.Desc, v float64, labels ...string) {
			ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, append([]string{id}, labels...)...)
		}
		for _, p := range phases {
			gauge(migrationPhase, number(p == s.Phase), string(p))
		}
		gauge(migrationRows, float64(s.RowsCopied))
		gauge(migrationEstimate, float64(s.RowsTotal))
		gauge(migrationProgress, s.Progress)
		gauge(migrationRate, float64(s.Rate))
		if s.ETA >= 0 {
			gauge(migrationETA, s.ETA.Seconds())
			gauge(migrationETAError, s.ETAError.Seconds())
		}
		gauge(migrationBuilding, float64(s.Building))
		gauge(migrationBacklog, float64(s.Backlog))
		gauge(migrationWaiting, number(s.WaitingFor != ""))
		gauge(migrationBlockers, r.blockersOf(s.ID))
		if s.Behind >= 0 {
			gauge(migrationLag, s.Behind.Seconds())
		}
		if s.Streaming || s.Behind >= 0 {
			gauge(migrationConnected, number(s.Streaming))
		}
	}
}
