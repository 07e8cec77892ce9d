package mysqld

// ShowsTransactions asks whether MySQL shows the transactions of sessions: who has
// one may read from a snapshot.
const ShowsTransactions = `SELECT /* midflight */ (SELECT COUNT(*) FROM performance_schema.setup_consumers
WHERE name IN ('events_transactions_current', 'global_instrumentation', 'thread_instrumentation') AND enabled = 'YES') = 3
AND (SELECT COUNT(*) FROM performance_schema.setup_instruments WHERE name = 'transaction' AND enabled = 'YES') = 1`

// ShowTransactions has MySQL show them.
const ShowTransactions = "UPDATE performance_schema.setup_consumers SET ENABLED = 'YES' WHERE NAME IN ('events_transactions_current', 'global_instrumentation', 'thread_instrumentation'); " +
	"UPDATE performance_schema.setup_instruments SET ENABLED = 'YES' WHERE NAME = 'transaction'"
