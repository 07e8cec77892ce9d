package store

import "fmt"

// A procedure is an operator's word: CALL midflight.pause(7). MySQL's own
// EXECUTE privilege says who may.
type procedure struct {
	name, set, comment string // a comment stands for its text: another text, another comment
	refused            string // an SQL expression: why not, of standing (the phase) and hidden (invisible_columns); NULL: it is accepted
}

const (
	// running: for migrations that have not ended.
	running = "CASE WHEN standing IN ('completed', 'failed', 'canceled') THEN CONCAT(' has ended: ', standing) END"
	// publishing: for those that have.
	publishing = "CASE WHEN standing <> 'completed' THEN CONCAT(' is not completed: ', standing) WHEN hidden IS NULL THEN ' has published no column INVISIBLE' END"
)

var procedures = []procedure{
	{"pause", "pause_requested = TRUE", "Stops the row copy; changes are applied meanwhile. Recorded in events", running},
	{"resume", "pause_requested = FALSE", "Goes on after pause. Recorded in events", running},
	{"cutover", "cutover_requested = TRUE", "Gives leave to swap the tables. Recorded in events", running},
	{"cancel", "cancel_requested = TRUE", "Ends the migration; the table stays as it was. Recorded in events", running},
	{"reveal", "reveal_requested = TRUE", "Makes the columns visible that the migration has published INVISIBLE. Recorded in events", publishing},
}

// text is one CREATE PROCEDURE; a migration that it is not for, or that never was,
// is an error of the caller's. Who called is in the history: USER() is the caller's, where
// CURRENT_USER() is the definer.
func (p procedure) text() string {
	return fmt.Sprintf(`CREATE PROCEDURE midflight.%s(IN migration BIGINT) SQL SECURITY DEFINER MODIFIES SQL DATA COMMENT '%s'
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
  VALUES (migration, UTC_TIMESTAMP(6), 'control', USER(), CONCAT('%s: CALL by ', USER(), ', connection ', CONNECTION_ID()));
END`, p.name, p.comment, p.refused, p.set, p.name)
}
