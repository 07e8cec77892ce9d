package proxy

import "testing"

func TestSwitchesLog(t *testing.T) {
	for text, want := range map[string]bool{
		"SET sql_log_bin = 0":                                    true,
		"/* x */ set @@session.SQL_LOG_BIN := off":               true,
		"/*!40000 SET sql_log_bin=0 */":                          true,
		"SELECT 1; SET sql_log_bin = 0":                          true,
		"PREPARE s FROM 'SET sql_log_bin = 0'":                   true,
		"SET STATEMENT sql_log_bin = 0 FOR INSERT INTO t SELECT": true,
		"BEGIN NOT ATOMIC SET sql_log_bin = 0; END":              true,
		"SET sql_mode = ''":                                      false,
		"INSERT INTO t VALUES ('sql_log_bin')":                   false,
		"":                                                       false,
	} {
		if got := switchesLog([]byte(text)); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}

func TestSwitchesOn(t *testing.T) {
	for text, want := range map[string]bool{
		"SET sql_log_bin = 1":                      true,
		" set  session sql_log_bin=ON ; ":          true,
		"SET @@session.sql_log_bin := 1":           true,
		"SET @@SQL_LOG_BIN=default":                true,
		"SET sql_log_bin = 0":                      false,
		"SET sql_log_bin = 1, autocommit=0":        false,
		"SET sql_log_bin = 1; SET sql_log_bin = 0": false,
		"SET x = 1":       false,
		"sql_log_bin = 1": false,
	} {
		if got := switchesOn([]byte(text)); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}
