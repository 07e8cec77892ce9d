package store

import (
	"context"
	"fmt"
	"strings"
	"time"

	"midflight/throttle"
)

const limitComment = "Changes a rule of when rows are copied, of all Midflights. NULL: back to the configuration''s"

// limitForm tells whether allowed is what throttle.Rules.With reads; what slips through
// (99:00-98:00) the Midflights tell in their logs.
const limitForm = `allowed IS NULL OR LOWER(allowed) = 'off' OR allowed REGEXP CASE
    WHEN rule = 'window' THEN '^ *[0-9]{1,2}:[0-9]{2} *- *[0-9]{1,2}:[0-9]{2}( .+)?$'
    WHEN rule IN ('replica_lag', 'commit_latency') THEN '^[0-9]+([.][0-9]+)?(ms|s|m|h)?$'
    WHEN rule = 'breaker' THEN '^[0-9]+([.][0-9]+)?(ms|s|m|h)$'
    WHEN rule IN ('disk_free', 'galera', 'app_errors', 'table_errors') THEN '^([0-9]+([.][0-9]+)?%|0?[.][0-9]+)$'
    ELSE '^[0-9]+([.][0-9]+)?$' END`

// limit changes a rule of the fleet's: CALL midflight.limit('replica_lag', '500ms'). The
// value NULL goes back to the configuration's. What the value may be the Midflights tell,
// in their logs: they read it.
func limitProcedure() string {
	return fmt.Sprintf(`CREATE PROCEDURE midflight.limit(IN rule VARCHAR(64), IN allowed VARCHAR(255)) SQL SECURITY DEFINER MODIFIES SQL DATA COMMENT '%s'
BEGIN
  DECLARE sentence VARCHAR(128);
  SET rule = LOWER(TRIM(rule)), allowed = IF(LOWER(TRIM(rule)) = 'window', allowed, LOWER(TRIM(allowed)));
  IF rule IS NULL OR CAST(rule AS BINARY) NOT IN ('%s') THEN
    SET sentence = CONCAT('midflight: no rule is called ', COALESCE(rule, 'NULL'));
    SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = sentence;
  END IF;
  IF NOT (%s) THEN
    SET sentence = CONCAT('midflight: ', rule, ' can not be ', LEFT(allowed, 40));
    SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = sentence;
  END IF;
  IF allowed IS NULL THEN
    DELETE FROM midflight.limits WHERE name = rule;
  ELSE
    INSERT INTO midflight.limits (name, value, set_by, set_at) VALUES (rule, allowed, USER(), UTC_TIMESTAMP(6)) ON DUPLICATE KEY UPDATE value = VALUES(value), set_by = VALUES(set_by), set_at = VALUES(set_at);
  END IF;
END`, limitComment, strings.Join(throttle.Names(), "', '"), limitForm)
}

// Limits implements signals.Store.
func (s *Store) Limits(ctx context.Context) (map[string]string, error) {
	rows, err := s.db.QueryContext(ctx, "SELECT /* midflight */ name, value FROM midflight.limits")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	limits := map[string]string{}
	for rows.Next() {
		var name, value string
		if err := rows.Scan(&name, &value); err != nil {
			return nil, err
		}
		limits[name] = value
	}
	return limits, rows.Err()
}

// Owner implements signals.Store.
func (s *Store) Owner() string { return s.owner }

// Beat implements signals.Store.
func (s *Store) Beat(ctx context.Context, number int64, at time.Time) error {
	_, err := s.db.ExecContext(ctx, "INSERT /* midflight */ INTO midflight.heartbeats (owner, number, sent_at) VALUES (?, ?, ?) ON DUPLICATE KEY UPDATE number = VALUES(number), sent_at = VALUES(sent_at)", s.owner, number, at.UnixMicro())
	return err
}
