package store

import (
	"context"
	"fmt"
	"strings"
	"time"

	"midflight/throttle"
)

const limitComment = "Changes a rule of when rows are copied, of all Midflights. NULL: back to the configuration''s. Recorded in statements and events, with @midflight_operator"

// limitForm tells whether allowed is what throttle.Rules.With reads. What slips through, a
// time zone that nobody knows, stops all copies (package signals).
const limitForm = `allowed IS NULL OR LOWER(allowed) = 'off' OR allowed REGEXP CASE
    WHEN rule = 'window' THEN '^ *([01]?[0-9]|2[0-3]):[0-5][0-9] *- *([01]?[0-9]|2[0-3]):[0-5][0-9]( .+)?$'
    WHEN rule IN ('replica_lag', 'commit_latency') THEN '^[0-9]+([.][0-9]+)?(ms|s|m|h)?$'
    WHEN rule = 'breaker' THEN '^[0-9]+([.][0-9]+)?(ms|s|m|h)$'
    WHEN rule IN ('disk_free', 'galera', 'app_errors', 'table_errors') THEN '^((100|[0-9]{1,2}([.][0-9]+)?)%|0?[.][0-9]+)$'
    ELSE '^[0-9]+([.][0-9]+)?$' END AND (rule = 'breaker' OR allowed REGEXP '[1-9]')`

// limit changes a rule of the fleet's: CALL midflight.limit('replica_lag', '500ms'). The
// value NULL goes back to the configuration's. Who did, and what it was before, stays in
// the trail, and in the history of each migration that runs. (A cursor reads those without
// locks; INSERT … SELECT would have them in the caller's transaction.)
func limitProcedure() string {
	return fmt.Sprintf(`CREATE PROCEDURE midflight.limit(IN rule VARCHAR(64), IN allowed VARCHAR(255)) SQL SECURITY DEFINER MODIFIES SQL DATA COMMENT '%s'
BEGIN
  DECLARE sentence VARCHAR(128);
  DECLARE said, was TEXT DEFAULT NULL;
  DECLARE machine VARCHAR(255) DEFAULT SUBSTRING_INDEX(USER(), '@', -1);
  DECLARE running BIGINT;
  DECLARE no_more BOOLEAN DEFAULT FALSE;
  DECLARE those CURSOR FOR SELECT id FROM midflight.migrations WHERE completed_at IS NULL;
  DECLARE CONTINUE HANDLER FOR NOT FOUND SET no_more = TRUE;
  SET rule = LOWER(TRIM(rule)), allowed = IF(LOWER(TRIM(rule)) = 'window', allowed, LOWER(TRIM(allowed)));
  IF rule IS NULL OR CAST(rule AS BINARY) NOT IN ('%s') THEN
    SET sentence = CONCAT('midflight: no rule is called ', COALESCE(rule, 'NULL'));
    SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = sentence;
  END IF;
  IF NOT (%s) THEN
    SET sentence = CONCAT('midflight: ', rule, ' can not be ', LEFT(allowed, 40));
    SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = sentence;
  END IF;
  SELECT CONCAT(value, ' by ', set_by, ' since ', set_at, ' UTC') INTO was FROM midflight.limits WHERE name = rule;
  IF allowed IS NULL THEN
    DELETE FROM midflight.limits WHERE name = rule;
  ELSE
    INSERT INTO midflight.limits (name, value, set_by, set_at) VALUES (rule, allowed, USER(), UTC_TIMESTAMP(6)) ON DUPLICATE KEY UPDATE value = VALUES(value), set_by = VALUES(set_by), set_at = VALUES(set_at);
  END IF;
  SET said = CONCAT('limit ', rule, ' is ', COALESCE(allowed, 'as configured'), ': CALL by ', USER(), ', connection ', CONNECTION_ID(), %s);
  INSERT INTO midflight.statements (happened_at, ended_at, schema_name, table_name, statement, verdict, reason, user, host, connection_id, account, database_name, ran_by)
  VALUES (UTC_TIMESTAMP(6), UTC_TIMESTAMP(6), '', '', CONCAT('CALL midflight.limit(', QUOTE(rule), ', ', QUOTE(allowed), ')'), '%s', CONCAT('it was ', COALESCE(was, 'as configured'), %s),
    LEFT(USER(), CHAR_LENGTH(USER()) - CHAR_LENGTH(machine) - 1), machine, CONNECTION_ID(), '', COALESCE(DATABASE(), ''), '');
  SET no_more = FALSE;
  OPEN those;
  tell: LOOP
    FETCH those INTO running;
    IF no_more THEN
      LEAVE tell;
    END IF;
    INSERT INTO midflight.events (migration_id, happened_at, kind, said_by, event) VALUES (running, UTC_TIMESTAMP(6), 'control', USER(), said);
  END LOOP;
  CLOSE those;
END`, limitComment, strings.Join(throttle.Names(), "', '"), limitForm, operator, Said, operator)
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
