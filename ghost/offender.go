package ghost

import (
	"context"
	"database/sql"
	"slices"
	"strings"
	"time"

	"midflight/binlog"
)

// searchFor bounds the search for the row that fails the statement: the client
// waits for its error meanwhile.
const searchFor = 3 * time.Second

// logOffender writes into the history which rows of a condition fail the user's
// statement: the server's text has the value, or "row 7" of nobody knows what.
func (s *syncer) logOffender(ctx context.Context, rows string, verdict error) {
	w := s.worker(rowSession(s.request.Settings, s.plan)...)
	defer w.close()
	var keys []binlog.Key
	err := w.use(ctx, func(conn *sql.Conn) (err error) {
		keys, err = readKeys(ctx, conn, s.tables.KeysWhere(rows), s.tables)
		return err
	})
	if err != nil {
		return // the error itself is what counts
	}
	s.logKeys(ctx, keys, verdict, func(some []binlog.Key) bool {
		_, native, err := s.native(ctx, s.tables.Match(some))
		return err == nil && native != nil
	})
}

// logKeys finds the fewest of keys that still fail, and writes them down.
func (s *syncer) logKeys(ctx context.Context, keys []binlog.Key, verdict error, fail func([]binlog.Key) bool) {
	until, cancel := context.WithTimeout(ctx, searchFor)
	defer cancel()
	few := fewest(keys, func(some []binlog.Key) bool { return until.Err() == nil && fail(some) })
	var names []string
	for _, k := range few[:min(len(few), 10)] {
		names = append(names, "("+strings.Join(k.Literals(), ", ")+")")
	}
	slices.Sort(names)
	what := "it is the row of key"
	switch {
	case until.Err() != nil:
		what = "it is among the rows of keys"
	case len(few) > 1:
		what = "it is the rows of keys"
	}
	s.log(ctx, "%v; %s %s of %s", verdict, what, strings.Join(names, ", "), s.plan.Key.Index)
}

// fewest takes keys away as long as the rest fails: delta debugging (Zeller and
// Hildebrandt, "Simplifying and Isolating Failure-Inducing Input").
func fewest(keys []binlog.Key, fail func([]binlog.Key) bool) []binlog.Key {
	for parts := 2; len(keys) > 1; {
		size := (len(keys) + parts - 1) / parts
		smaller := false
		for part := range slices.Chunk(keys, size) {
			if fail(part) {
				keys, parts, smaller = part, 2, true
				break
			}
		}
		for at := 0; !smaller && parts > 2 && at < len(keys); at += size {
			if rest := slices.Concat(keys[:at], keys[min(at+size, len(keys)):]); fail(rest) {
				keys, parts, smaller = rest, max(parts-1, 2), true
			}
		}
		if !smaller {
			if parts >= len(keys) {
				break
			}
			parts = min(2*parts, len(keys))
		}
	}
	return keys
}
