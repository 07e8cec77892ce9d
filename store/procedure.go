package store

import (
	"cmp"
	"fmt"
)

// A procedure is an operator's word: CALL midflight.pause(7). MySQL's own
// EXECUTE privilege says who may.
type procedure struct {
	name, set, comment string // a comment stands for its text: another text, another comment
	also               string // further parameters
	says               string // an SQL expression: what they ask for, for the history
	refused            string // an SQL expression: why not, of standing (the phase) and hidden (invisible_columns); NULL: it is accepted
}

// operator is an SQL expression: who somebody says to be, where several share an account. It
// proves nothing, so it stands beside USER().
const operator = "COALESCE(CONCAT(', who says to be ', LEFT(CONVERT(@midflight_operator USING utf8mb4), 100)), '')"

const (
	// running: for migrations that have not ended.
	running = "CASE WHEN standing IN ('completed', 'failed', 'canceled') THEN CONCAT(' has ended: ', standing) END"
	// publishing: for those that have.
	publishing = "CASE WHEN standing <> 'completed' THEN CONCAT(' is not completed: ', standing) WHEN hidden IS NULL THEN ' has published no column INVISIBLE' END"
)

var procedures = []procedure{
	{name: "pause", set: "pause_requested = TRUE", comment: "Stops the row copy; changes are applied meanwhile. Recorded in events, with @midflight_operator", refused: running},
	{name: "resume", set: "pause_requested = FALSE", comment: "Goes on after pause. Recorded in events, with @midflight_operator", refused: running},
	{name: "cutover", set: "cutover_requested = TRUE", comment: "Gives leave to swap the tables. Recorded in events, with @midflight_operator", refused: running},
	{name: "cancel", set: "cancel_requested = TRUE", comment: "Ends the migration; the table stays as it was. Recorded in events, with @midflight_operator", refused: running},
	{name: "reveal", set: "reveal_requested = TRUE", comment: "Makes the columns visible that the migration has published INVISIBLE. Recorded in events, with @midflight_operator", refused: publishing},
	{name: "throttle", also: ", IN ratio DOUBLE, IN minutes DOUBLE", comment: "Has the copy rest for a part of the time, 0 to 1, for so many minutes. Recorded with both in events, and with @midflight_operator",
		says:    "IF(ratio > 0 AND minutes > 0, CONCAT(', rests for ', ROUND(100 * ratio), ' % of the next ', ROUND(minutes, 1) + 0, ' min'), ', rests no more')",
		set:     "throttle_ratio = ratio, throttle_until = UTC_TIMESTAMP(6) + INTERVAL ROUND(60 * minutes) SECOND",
		refused: "COALESCE(" + running + ", CASE WHEN ratio IS NULL OR minutes IS NULL OR ratio < 0 OR ratio > 1 OR minutes < 0 OR minutes > 527040 THEN ' can not be throttled so: want a ratio of 0 to 1, and minutes' END)"},
}

// text is one CREATE PROCEDURE; a migration that it is not for, or that never was,
// is an error of the caller's. Who called is in the history: USER() is the caller's, where
// CURRENT_USER() is the definer.
func (p procedure) text() string {
	return fmt.Sprintf(`CREATE PROCEDURE midflight.%s(IN migration BIGINT%s) SQL SECURITY DEFINER MODIFIES SQL DATA COMMENT '%s'
BEGIN
  DECLARE standing VARCHAR(16) DEFAULT NULL;
  DECLARE hidden TEXT DEFAULT NULL;
  DECLARE refused VARCHAR(96) DEFAULT ' does not exist';
  DECLARE sentence VARCHAR(128);
  SELECT phase, invisible_columns INTO standing, hidden FROM midflight.migrations WHERE id = migration;
  IF standing IS NOT NULL THEN
    SET refused = %s;
  END IF;
  IF refused IS NOT NULL THEN
    SET sentence = CONCAT('midflight: migration ', COALESCE(migration, 'NULL'), refused);
    SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = sentence;
  END IF;
  UPDATE midflight.migrations SET %s WHERE id = migration;
  INSERT INTO midflight.events (migration_id, happened_at, kind, said_by, event)
  VALUES (migration, UTC_TIMESTAMP(6), 'control', USER(), CONCAT('%s: CALL by ', USER(), ', connection ', CONNECTION_ID(), %s, %s));
END`, p.name, p.also, p.comment, p.refused, p.set, p.name, operator, cmp.Or(p.says, "''"))
}
