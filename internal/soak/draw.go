package soak

import (
	"math/rand/v2"
	"time"

	"midflight/internal/localserver"
)

// ownRows is how many numbers each writer has for its rows.
const ownRows = 100_000

// Draw makes the case of a seed. It asks no server: what no server takes shows
// when the case is run.
func Draw(seed uint64, f localserver.Flavor) Case {
	r := rand.New(rand.NewPCG(seed, 0x50a7))
	c := Case{Seed: seed, Flavor: f, Table: drawTable(r, f)}
	c.Rows = pick(r, []int{0, 1, 2, 10, 60, 150, 300, 300, 600, 600, 1200, 2500})
	c.Alters = append(c.Alters, drawAlter(r, f, c.Table))
	if one(r, 8) {
		c.Alters = append(c.Alters, drawAlter(r, f, c.Table))
	}
	c.Settings = drawSettings(r, f)
	c.Strategy = pick(r, []string{"copy", "copy", "copy", "copy", "auto"})
	c.Manual = one(r, 3)
	if !one(r, 8) {
		for i := range 2 + r.IntN(3) {
			c.Writers = append(c.Writers, drawWriter(r, f, i))
		}
	}
	if one(r, 3) {
		for range 1 + r.IntN(2) {
			c.Disturbances = append(c.Disturbances, Disturbance{
				Kind: pick(r, []string{killWorker, killWorker, killDump, pauseCopy, flushLogs, lockRow}),
				At:   time.Duration(r.IntN(400)) * time.Millisecond,
				For:  time.Duration(50+r.IntN(250)) * time.Millisecond,
			})
		}
	}
	return c
}

func drawSettings(r *rand.Rand, f localserver.Flavor) []string {
	var all []string
	if one(r, 2) {
		all = append(all, "SET sql_mode = '"+pick(r, []string{"", "", "STRICT_TRANS_TABLES", "TRADITIONAL", "ANSI_QUOTES", "STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE", "ANSI", "NO_AUTO_VALUE_ON_ZERO",
			"ALLOW_INVALID_DATES,STRICT_TRANS_TABLES", "PIPES_AS_CONCAT,STRICT_TRANS_TABLES", "PAD_CHAR_TO_FULL_LENGTH,STRICT_TRANS_TABLES", "NO_BACKSLASH_ESCAPES,STRICT_TRANS_TABLES", "HIGH_NOT_PRECEDENCE", "NO_UNSIGNED_SUBTRACTION"})+"'")
	}
	some := []string{
		"SET time_zone = '+05:30'", "SET time_zone = '-11:00'", "SET NAMES latin1", "SET NAMES utf8mb4 COLLATE utf8mb4_bin", "SET character_set_results = latin1", "SET lc_time_names = 'de_DE'",
		"SET foreign_key_checks = 0", "SET unique_checks = 0", "SET max_error_count = 3", "SET innodb_strict_mode = OFF", "SET div_precision_increment = 8", "SET sql_safe_updates = 1", "SET sql_select_limit = 1",
		"SET autocommit = 0", "SET lock_wait_timeout = 30", "SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE", "SET explicit_defaults_for_timestamp = OFF", "SET timestamp = 1700000000.5", "SET default_storage_engine = MyISAM",
		"SET SESSION TRANSACTION READ ONLY", "SET max_error_count = 0",
	}
	if f == localserver.MySQL {
		some = append(some, "SET old_alter_table = ON", "SET sql_generate_invisible_primary_key = ON", "SET sql_require_primary_key = ON", "SET NAMES gbk", "SET SESSION group_concat_max_len = 10", "SET default_collation_for_utf8mb4 = utf8mb4_general_ci", "SET SESSION binlog_row_image = MINIMAL")
	} else {
		some = append(some, "SET alter_algorithm = 'INPLACE'", "SET old_mode = ''", "SET alter_algorithm = 'COPY'", "SET check_constraint_checks = 0", "SET NAMES utf8mb3", "SET SESSION binlog_row_image = MINIMAL", "SET sql_mode = 'ORACLE'")
	}
	if one(r, 2) {
		all = append(all, pick(r, some))
		if one(r, 3) {
			all = append(all, pick(r, some))
		}
	}
	return all
}

func drawWriter(r *rand.Rand, f localserver.Flavor, i int) Writer {
	w := Writer{Through: i%2 == 0, Seed: r.Uint64(), Pause: pick(r, []time.Duration{0, 0, 0, 2 * time.Millisecond, 10 * time.Millisecond})}
	if one(r, 3) {
		w.Settings = append(w.Settings, "SET SESSION binlog_row_image = "+pick(r, []string{"MINIMAL", "NOBLOB"}))
	}
	if f == localserver.MySQL {
		if one(r, 4) {
			w.Settings = append(w.Settings, "SET SESSION binlog_row_value_options = PARTIAL_JSON")
		}
		if one(r, 4) {
			w.Settings = append(w.Settings, "SET SESSION binlog_transaction_compression = ON")
		}
	}
	if one(r, 3) {
		w.Settings = append(w.Settings, "SET SESSION sql_mode = '"+pick(r, []string{"", "ALLOW_INVALID_DATES", "TRADITIONAL", "NO_AUTO_VALUE_ON_ZERO"})+"'")
	}
	if one(r, 3) {
		w.Settings = append(w.Settings, "SET SESSION TRANSACTION ISOLATION LEVEL "+pick(r, []string{"REPEATABLE READ", "SERIALIZABLE", "READ UNCOMMITTED"}))
	} else {
		w.Settings = append(w.Settings, "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
	}
	if one(r, 4) {
		w.Settings = append(w.Settings, "SET time_zone = '-03:00'")
	}
	if one(r, 4) {
		w.Settings = append(w.Settings, "SET autocommit = 0")
	}
	return w
}
