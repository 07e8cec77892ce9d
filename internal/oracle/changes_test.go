package oracle

import (
	"strings"

	"midflight/internal/testmysql"
)

const (
	onlyMySQL   = testmysql.MySQL
	onlyMariaDB = testmysql.MariaDB
)

var longest = "An_uppercase_name_of_64_characters_" + strings.Repeat("x", 29)

var changes = []change{
	// Columns come and go.
	{of: orders, alter: "ADD COLUMN x INT", path: "copy"},
	{of: orders, alter: "ADD COLUMN x INT FIRST, ADD COLUMN y VARCHAR(10) DEFAULT 'it''s' AFTER a", path: "instant"},
	{of: orders, alter: "ADD COLUMN x INT NOT NULL, ADD y DATE NULL, ADD z VARCHAR(9) NOT NULL, ADD e ENUM('p','q') NOT NULL, ADD f DECIMAL(5,2) NOT NULL", path: "copy", mode: "NO_ENGINE_SUBSTITUTION"},
	{of: orders, alter: "ADD COLUMN x JSON DEFAULT (JSON_ARRAY(1, 'a')), ADD y INT DEFAULT (1 + 2)", path: "copy"},
	{of: orders, alter: "ADD COLUMN x TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6)", path: "copy", now: "x"},
	{of: orders, alter: "ADD COLUMN x DATETIME NULL DEFAULT CURRENT_TIMESTAMP", path: "copy", now: "x"},
	{of: orders, alter: "ADD COLUMN x INT AS (b * 2) STORED, ADD COLUMN y INT AS (b + 1) VIRTUAL", path: "copy"},
	{of: orders, alter: "DROP COLUMN a", path: "copy", avoid: "a"},
	{of: orders, alter: "DROP COLUMN c", path: "instant", avoid: "c"},
	{of: orders, alter: "DROP COLUMN c, ADD COLUMN c VARCHAR(20) NOT NULL DEFAULT 'fresh'", path: "copy", avoid: "c"},
	// Types change.
	{of: orders, alter: "MODIFY a BIGINT NULL", path: "copy"},
	{of: orders, alter: "MODIFY name TEXT NULL, DROP KEY by_name, MODIFY code VARCHAR(90) CHARACTER SET latin1 NULL", path: "copy"},
	{of: orders, alter: "MODIFY code VARCHAR(40) CHARACTER SET utf8mb4 NULL", path: "copy"},
	{of: orders, alter: "MODIFY amount DECIMAL(12,2) NULL", path: "copy"},
	{of: orders, alter: "MODIFY state ENUM('new','paid','','sent','lost') NULL", path: "instant"},
	{of: orders, alter: "MODIFY state ENUM('sent','','new','extra','paid') NULL", path: "copy"},
	{of: orders, alter: "MODIFY happened TIMESTAMP NULL", path: "copy"},
	{of: orders, alter: "MODIFY flag VARCHAR(30) NULL, MODIFY b BIGINT UNSIGNED NOT NULL", path: "copy", values: map[string]values{"b": between(0, 1000)}},
	{of: orders, alter: "MODIFY a INT NOT NULL DEFAULT 4", path: "copy", values: map[string]values{"a": between(-100, 100)}},
	{of: orders, alter: "MODIFY name VARCHAR(60) NULL", path: "metadata instant"},
	{of: orders, alter: "MODIFY id BIGINT NOT NULL AUTO_INCREMENT", path: "copy"},
	{of: orders, alter: "MODIFY name VARCHAR(50) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL", path: "copy"},
	// Names change.
	{of: orders, alter: "CHANGE c cost BIGINT NULL DEFAULT 3", path: "copy", avoid: "c"},
	{of: orders, alter: "CHANGE a c INT NULL, CHANGE c a INT NULL DEFAULT 3", path: "copy", avoid: "a c"},
	{of: orders, alter: "RENAME COLUMN c TO cost, RENAME COLUMN a TO c", path: "copy", avoid: "a c"},
	{of: orders, alter: "RENAME COLUMN name TO Name", path: "copy"},
	// Indexes.
	{of: orders, alter: "ADD INDEX by_happened (happened DESC, b), ADD UNIQUE by_b (b, id), DROP INDEX by_a", path: "copy"},
	{of: orders, alter: "CREATE INDEX by_c ON {t} (c)", path: "copy"},
	{of: orders, alter: "CREATE UNIQUE INDEX by_c ON {t} (c, id)", path: "copy"},
	{of: orders, alter: "DROP INDEX by_a ON {t}", path: "metadata"},
	{of: orders, alter: "DROP INDEX by_name ON {t}", path: "copy"},
	{of: orders, alter: "ADD INDEX by_sum ((c + b)), ADD INDEX by_upper ((UPPER(name)))", path: "copy", only: onlyMySQL, values: map[string]values{"c": between(-100, 100).orNull()}},
	{of: twoKeys, alter: "ADD UNIQUE by_double ((code * 2))", path: "copy", only: onlyMySQL},
	{of: orders, alter: "ADD FULLTEXT INDEX by_words (note, name)", path: "copy", values: map[string]values{"note": words, "name": utf8}},
	{of: accounts, alter: "ADD UNIQUE KEY by_no (no, tenant), ADD KEY (w)", path: "copy"},
	{of: twoKeys, alter: "DROP PRIMARY KEY, ADD PRIMARY KEY (code)", path: "copy"},
	{of: twoKeys, alter: "DROP PRIMARY KEY, DROP INDEX by_code, ADD PRIMARY KEY (code), ADD UNIQUE (id)", path: "copy"},
	{of: keyless, alter: "ADD PRIMARY KEY (code)", path: "copy"},
	// One key before, another or none after.
	{of: twoKeys, alter: "DROP PRIMARY KEY, DROP INDEX by_code, ADD PRIMARY KEY (code)", path: "copy"},
	{of: twoKeys, alter: "DROP PRIMARY KEY, DROP INDEX by_code", path: "copy"},
	{of: keyless, alter: "DROP INDEX by_code, ADD COLUMN x INT", path: "copy", loose: true},
	{of: orders, alter: "DROP PRIMARY KEY, ADD PRIMARY KEY (id, b)", path: "copy", loose: true},
	{of: orders, alter: "DROP PRIMARY KEY, ADD KEY by_id (id, b DESC)", path: "copy", loose: true},
	{of: accounts, alter: "DROP PRIMARY KEY, ADD PRIMARY KEY (no, tenant)", path: "copy"},
	{of: accounts, alter: "DROP PRIMARY KEY, ADD PRIMARY KEY (no)", path: "copy"},
	{of: accounts, alter: "DROP PRIMARY KEY, MODIFY tenant SMALLINT NULL, DROP KEY one_slot PARTITION BY HASH (no) PARTITIONS 3", path: "copy"},
	{of: places, alter: "DROP PRIMARY KEY, ADD SPATIAL INDEX by_place (p), ADD FULLTEXT INDEX by_words (about)", path: "copy", loose: true},
	{of: places, alter: "ADD SPATIAL INDEX by_place (p)", path: "copy"},
	// The whole table.
	{of: orders, alter: "OPTIMIZE TABLE {t}", path: "copy"},
	{of: orders, alter: "FORCE, COMMENT = 'a; \\'b\\'', ADD COLUMN `odd name` INT /* here, too */ -- and here\n, AUTO_INCREMENT = 100000", path: "copy"},
	{of: orders, alter: "COMMENT = 'only the comment'", path: "metadata instant"},
	{of: orders, alter: "ENGINE=InnoDB, ROW_FORMAT=COMPRESSED, KEY_BLOCK_SIZE=8", path: "copy"},
	{of: orders, alter: "ROW_FORMAT=REDUNDANT, STATS_PERSISTENT=0", path: "copy"},
	{of: orders, alter: "CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci", path: "copy"},
	{of: orders, alter: "PARTITION BY HASH (id) PARTITIONS 4", path: "copy"},
	{of: logs, alter: "REMOVE PARTITIONING", path: "copy"},
	{of: logs, alter: "ADD COLUMN x INT NOT NULL DEFAULT 1, DROP INDEX by_t", path: "copy"},
	{of: logs, alter: "PARTITION BY LIST (year) (PARTITION a VALUES IN (2018,2019,2020), PARTITION b VALUES IN (2021,2022))", path: "copy"},
	{of: zoo, alter: "ENGINE=InnoDB", path: "copy"},
	{of: zoo, alter: "FORCE, ADD COLUMN x INT NOT NULL DEFAULT 1 FIRST", path: "copy"},
	{of: zoo, alter: "CONVERT TO CHARACTER SET utf8mb4", path: "copy"},
	{of: zoo, alter: "MODIFY i8 SMALLINT, MODIFY u8 INT UNSIGNED, MODIFY bi VARBINARY(20), MODIFY tx MEDIUMTEXT, MODIFY bl LONGBLOB, MODIFY b1 BIT(5), MODIFY se SET('x','y','z','w'), MODIFY gb VARCHAR(20) CHARACTER SET utf8mb4, MODIFY dt DATETIME", path: "copy",
		values: map[string]values{"dt": values(at).orNull(), "bi": oneOf("x'0000000000000000'", "x'01005C2700FF0000'", "NULL")}},
	{of: zoo, alter: "MODIFY f DOUBLE, MODIFY dec65 VARCHAR(80), MODIFY i16 VARCHAR(10), MODIFY ye SMALLINT, MODIFY en VARCHAR(5) CHARACTER SET utf8mb4", path: "copy",
		values: map[string]values{"f": values(dyadic).orNull(), "dec65": oneOf("1.000000000000000000000000000001", "-99999999999999999999999999999999999.999999999999999999999999999999", "NULL")}},
	{of: zoo, alter: "MODIFY i16 JSON, MODIFY f JSON, MODIFY dec65 JSON, MODIFY u8 JSON", path: "copy", avoid: "i16 f dec65 u8", only: onlyMySQL},
	// Keys of all kinds.
	{of: sessions, alter: "ENGINE=InnoDB", path: "copy"},
	{of: sessions, alter: "MODIFY t VARCHAR(60) CHARACTER SET utf8mb4, ADD KEY (n)", path: "copy"},
	{of: tokens, alter: "MODIFY v VARBINARY(300) NULL, ADD COLUMN x INT", path: "copy"},
	{of: tokens, alter: "CONVERT TO CHARACTER SET utf8mb4", path: "copy"},
	{of: people, alter: "ADD COLUMN x INT DEFAULT 1 AFTER name", path: "copy"},
	{of: people, alter: "MODIFY name VARCHAR(100) NOT NULL, DROP COLUMN v", path: "copy", avoid: "v"},
	{of: accounts, alter: "MODIFY w BIGINT NULL", path: "copy"},
	{of: accounts, alter: "MODIFY tenant INT NOT NULL, ADD x INT", path: "copy"},
	{of: keyless, alter: "MODIFY v BIGINT NULL", path: "copy"},
	{of: facts, alter: "MODIFY v DOUBLE NULL", path: "copy", values: map[string]values{"v": values(dyadic).orNull()}},
	{of: facts, alter: "FORCE", path: "copy"},
	// One of every type.
	{of: byFloat, alter: "ADD COLUMN x INT NOT NULL DEFAULT 1 FIRST", path: "copy"},
	{of: byDouble, alter: "ADD COLUMN x INT NOT NULL DEFAULT 1 FIRST", path: "copy"},
	{of: byMoment, alter: "ADD COLUMN x INT NOT NULL DEFAULT 1 FIRST", path: "copy"},
	{of: byState, alter: "ADD COLUMN x INT NOT NULL DEFAULT 1 FIRST", path: "copy"},
	{of: stateSecond, alter: "ADD COLUMN x INT NOT NULL DEFAULT 1 FIRST", path: "copy"},
	{of: byFlags, alter: "ADD COLUMN x INT NOT NULL DEFAULT 1 FIRST", path: "copy"},
	{of: byDecimal, alter: "ADD COLUMN x INT NOT NULL DEFAULT 1 FIRST", path: "copy"},
	{of: byBits, alter: "ADD COLUMN x INT NOT NULL DEFAULT 1 FIRST", path: "copy"},
	{of: byBytes, alter: "ADD COLUMN x INT NOT NULL DEFAULT 1 FIRST", path: "copy"},
	{of: byGaps, alter: "ADD COLUMN x INT NOT NULL DEFAULT 1 FIRST", path: "copy"},
	{of: byHours, alter: "ADD COLUMN x INT NOT NULL DEFAULT 1 FIRST", path: "copy"},
	{of: byZero, alter: "MODIFY k BIGINT NOT NULL AUTO_INCREMENT", path: "copy", mode: "NO_AUTO_VALUE_ON_ZERO,STRICT_TRANS_TABLES"},
	{of: byDouble, alter: "DROP PRIMARY KEY", path: "copy", loose: true},
	{of: byMoment, alter: "DROP PRIMARY KEY, ADD PRIMARY KEY (n, k)", path: "copy"},
	{of: byState, alter: "MODIFY k ENUM('z','a','','日','3','more') NOT NULL", path: "copy"},
	{of: byState, alter: "CONVERT TO CHARACTER SET utf8mb3, DROP PRIMARY KEY", path: "copy", loose: true, values: map[string]values{"t": words}},
	{of: stateSecond, alter: "DROP PRIMARY KEY, ADD PRIMARY KEY (n)", path: "copy"},
	// Downwards, and beginnings.
	{of: mixed, alter: "ADD COLUMN x INT NOT NULL DEFAULT 1 FIRST", path: "copy"},
	{of: mixed, alter: "DROP PRIMARY KEY, ADD PRIMARY KEY (b, a DESC)", path: "copy"},
	{of: downwards, alter: "MODIFY k BIGINT NOT NULL AUTO_INCREMENT", path: "copy"},
	{of: lettersDown, alter: "ENGINE=InnoDB", path: "copy"},
	{of: beginnings, alter: "ADD COLUMN x INT NOT NULL DEFAULT 1 FIRST", path: "copy"},
	{of: beginnings, alter: "DROP PRIMARY KEY, ADD PRIMARY KEY (k)", path: "copy"},
	{of: beginnings, alter: "DROP PRIMARY KEY", path: "copy", loose: true},
	// Generated, invisible, geometry.
	{of: computed, alter: "MODIFY b BIGINT NOT NULL DEFAULT 0", path: "copy"},
	{of: computed, alter: "ADD COLUMN third INT AS (a * 3) STORED AFTER a, ADD COLUMN seen INT NOT NULL DEFAULT 9 INVISIBLE, DROP COLUMN upper_t", path: "copy"},
	{of: places, alter: "MODIFY title VARCHAR(200) NOT NULL DEFAULT '', ADD FULLTEXT (about)", path: "copy", values: map[string]values{"title": words}},
	// Names.
	{of: oddName("Ta`ble \"Ü\" 50% 'x'"), alter: "ADD COLUMN `new \"col\" % '``` INT NOT NULL DEFAULT 3, CHANGE `größe` `Größe 2` BIGINT NULL", path: "copy", avoid: "größe"},
	{of: oddName(longest), alter: "ADD COLUMN x INT, DROP INDEX `by 'it'`", path: "copy"},
	{of: oddName("a b;c--d"), alter: "ADD COLUMN x INT NULL", path: "instant"},
}
