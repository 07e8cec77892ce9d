package store

import "fmt"

// A procedure is an operator's word: CALL midflight.pause(7). MySQL's own
// EXECUTE privilege says who may.
type procedure struct{ name, set, comment string }

var procedures = []procedure{
	{"pause", "pause_requested = TRUE", "Stops the row copy; changes are applied meanwhile"},
	{"resume", "pause_requested = FALSE", "Goes on after pause"},
	{"cutover", "cutover_requested = TRUE", "Gives leave to swap the tables"},
	{"cancel", "cancel_requested = TRUE", "Ends the migration; the table stays as it was"},
}

// text is one CREATE PROCEDURE; a migration that has ended, or never was, is an
// error of the caller's.
func (p procedure) text() string {
	return fmt.Sprintf(`CREATE PROCEDURE midflight.%s(IN migration BIGINT) SQL SECURITY DEFINER MODIFIES SQL DATA COMMENT '%s'
BEGIN
  DECLARE standing VARCHAR(16) DEFAULT NULL;
  DECLARE sentence VARCHAR(128);
  SELECT phase INTO standing FROM midflight.migrations WHERE id = migration;
  IF standing IS NULL OR standing IN ('completed', 'failed', 'canceled') THEN
    SET sentence = CONCAT('midflight: migration ', COALESCE(migration, 'NULL'), COALESCE(CONCAT(' has ended: ', standing), ' does not exist'));
    SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = sentence;
  END IF;
  UPDATE midflight.migrations SET %s WHERE id = migration;
END`, p.name, p.comment, p.set)
}
