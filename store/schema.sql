CREATE DATABASE IF NOT EXISTS midflight DEFAULT CHARACTER SET utf8mb4;

CREATE TABLE IF NOT EXISTS midflight.migrations (
  id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  schema_name VARCHAR(64) NOT NULL,
  table_name VARCHAR(64) NOT NULL,
  statement LONGTEXT NOT NULL,
  request LONGTEXT NULL COMMENT 'the statement and its session''s settings, for whoever takes the migration over: JSON',
  strategy VARCHAR(16) NOT NULL DEFAULT '' COMMENT 'the path taken: instant, metadata, inplace, copy',
  reason TEXT NOT NULL COMMENT 'why this path',
  phase VARCHAR(16) NOT NULL DEFAULT 'queued',
  rows_copied BIGINT NOT NULL DEFAULT 0,
  rows_estimate BIGINT NOT NULL DEFAULT 0,
  progress DOUBLE NOT NULL DEFAULT 0 COMMENT '0 to 1',
  eta_seconds BIGINT NULL,
  eta_error_seconds BIGINT NULL COMMENT 'by how much eta_seconds may be off',
  rows_per_second BIGINT NOT NULL DEFAULT 0 COMMENT 'copied, of late',
  backlog BIGINT NOT NULL DEFAULT 0 COMMENT 'changed keys not applied yet',
  waiting_for TEXT NOT NULL,
  cutover VARCHAR(60) NOT NULL DEFAULT 'auto',
  error_number INT NULL,
  error TEXT NULL,
  error_state CHAR(5) NULL,
  records BIGINT NULL COMMENT 'what the answer says of rows; NULL: it says nothing',
  warnings BIGINT NULL COMMENT 'of the answer; NULL: there is none yet',
  verification TEXT NULL COMMENT 'what was compared before the swap',
  cutover_attempts BIGINT NOT NULL DEFAULT 0,
  locked_microseconds BIGINT NOT NULL DEFAULT 0 COMMENT 'exclusively, in the attempt that was in time',
  held_statements BIGINT NOT NULL DEFAULT 0 COMMENT 'in the proxy, in all attempts',
  held_microseconds BIGINT NOT NULL DEFAULT 0 COMMENT 'the longest of them',
  user VARCHAR(288) NOT NULL DEFAULT '' COMMENT 'who sent the statement',
  host VARCHAR(255) NOT NULL DEFAULT '' COMMENT 'from where',
  connection_id BIGINT NOT NULL DEFAULT 0,
  account VARCHAR(288) NOT NULL DEFAULT '' COMMENT 'CURRENT_USER() of who sent it',
  database_name VARCHAR(64) NOT NULL DEFAULT '' COMMENT 'that was selected',
  owner VARCHAR(40) NOT NULL DEFAULT '' COMMENT 'the Midflight that runs it',
  ran_by VARCHAR(400) NOT NULL DEFAULT '' COMMENT 'its version, host and process',
  token CHAR(24) NULL COMMENT 'by which a record is found whose answer was lost',
  client_at VARCHAR(40) NOT NULL DEFAULT '' COMMENT 'the Midflight by which somebody waits for the answer',
  client_gone BOOLEAN NOT NULL DEFAULT FALSE COMMENT 'nobody waits for the answer; who sends the same statement again does',
  created_at DATETIME(6) NOT NULL,
  started_at DATETIME(6) NULL,
  ready_at DATETIME(6) NULL COMMENT 'in sync for the first time',
  completed_at DATETIME(6) NULL COMMENT 'ended, in whatever way',
  pause_requested BOOLEAN NOT NULL DEFAULT FALSE,
  cancel_requested BOOLEAN NOT NULL DEFAULT FALSE,
  cutover_requested BOOLEAN NOT NULL DEFAULT FALSE,
  invisible_columns TEXT NULL COMMENT 'published INVISIBLE by @midflight_new_columns: a JSON list',
  reveal_requested BOOLEAN NOT NULL DEFAULT FALSE,
  throttled TEXT NULL COMMENT 'seconds for which it has waited, by what for: JSON',
  throttle_ratio DOUBLE NOT NULL DEFAULT 0 COMMENT 'part of the time that the copy rests',
  throttle_until DATETIME(6) NULL,
  KEY by_table (schema_name, table_name),
  KEY by_phase (phase),
  KEY by_reveal (reveal_requested),
  UNIQUE KEY by_token (token)
) ENGINE=InnoDB;

CREATE TABLE IF NOT EXISTS midflight.checkpoints (
  migration_id BIGINT NOT NULL PRIMARY KEY,
  watermark TEXT NOT NULL COMMENT 'rows up to this key are copied; literals, hex of the internal form',
  position TEXT NOT NULL COMMENT 'changes up to here are applied',
  rows_in_shadow BIGINT NOT NULL,
  facts LONGTEXT NULL COMMENT 'what the tables were like when the copy began: JSON',
  updated_at DATETIME(6) NOT NULL
) ENGINE=InnoDB;

CREATE TABLE IF NOT EXISTS midflight.chunks (
  migration_id BIGINT NOT NULL,
  number INT NOT NULL COMMENT 'in the order of the key',
  ends_at TEXT NOT NULL COMMENT 'its last key, as watermark in checkpoints',
  PRIMARY KEY (migration_id, number)
) ENGINE=InnoDB COMMENT='ranges that are copied, to be compared by whoever goes on';

CREATE TABLE IF NOT EXISTS midflight.proxies (
  owner VARCHAR(40) NOT NULL PRIMARY KEY COMMENT 'lives as long as it has the lock midflight.owner.OWNER',
  host VARCHAR(255) NOT NULL,
  pid BIGINT NOT NULL,
  started_at DATETIME(6) NOT NULL
) ENGINE=InnoDB COMMENT='the Midflights in front of this server';

CREATE TABLE IF NOT EXISTS midflight.listeners (
  migration_id BIGINT NOT NULL,
  owner VARCHAR(40) NOT NULL,
  PRIMARY KEY (migration_id, owner)
) ENGINE=InnoDB COMMENT='who holds statements when another swaps';

CREATE TABLE IF NOT EXISTS midflight.calls (
  id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  migration_id BIGINT NOT NULL,
  names LONGTEXT NOT NULL COMMENT 'JSON',
  ends_at DATETIME(6) NOT NULL,
  KEY by_migration (migration_id, id)
) ENGINE=InnoDB COMMENT='what the listeners are asked to hold';

CREATE TABLE IF NOT EXISTS midflight.sessions (
  connection_id BIGINT NOT NULL,
  server_start DATETIME NOT NULL COMMENT 'connection ids begin anew with the server',
  migration_id BIGINT NOT NULL,
  owner VARCHAR(40) NOT NULL,
  PRIMARY KEY (connection_id, server_start),
  KEY by_migration (migration_id)
) ENGINE=InnoDB COMMENT='connections that work for a migration: they are ended before another Midflight takes it over';

CREATE TABLE IF NOT EXISTS midflight.events (
  id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  migration_id BIGINT NOT NULL,
  happened_at DATETIME(6) NOT NULL,
  kind VARCHAR(16) NOT NULL DEFAULT 'note' COMMENT 'note, phase, control, cutover, verify, warning, kill, runner',
  phase VARCHAR(16) NULL COMMENT 'that was entered',
  said_by VARCHAR(400) NULL COMMENT 'whose word it was; NULL: Midflight did it by itself',
  event TEXT NOT NULL,
  detail LONGTEXT NULL COMMENT 'JSON',
  KEY by_migration (migration_id, id)
) ENGINE=InnoDB;

CREATE TABLE IF NOT EXISTS midflight.statements (
  id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  happened_at DATETIME(6) NOT NULL COMMENT 'it came',
  ended_at DATETIME(6) NULL COMMENT 'it was answered; NULL: it runs, or nobody knows its end',
  schema_name VARCHAR(64) NOT NULL COMMENT 'of the first table that it names',
  table_name VARCHAR(64) NOT NULL,
  statement LONGTEXT NOT NULL COMMENT 'or its first 64 KiB',
  verdict VARCHAR(16) NOT NULL COMMENT 'forwarded: the server ran it as it was sent; refused',
  reason TEXT NOT NULL,
  migration_id BIGINT NULL COMMENT 'that left it to the server',
  error_number INT NULL,
  error TEXT NULL,
  user VARCHAR(288) NOT NULL,
  host VARCHAR(255) NOT NULL,
  connection_id BIGINT NOT NULL,
  account VARCHAR(288) NOT NULL,
  database_name VARCHAR(64) NOT NULL,
  ran_by VARCHAR(400) NOT NULL,
  KEY by_table (schema_name, table_name),
  KEY by_time (happened_at)
) ENGINE=InnoDB COMMENT='schema changes that are no migrations: for whoever asks who did what';

CREATE TABLE IF NOT EXISTS midflight.fences (
  migration_id BIGINT NOT NULL PRIMARY KEY,
  token VARCHAR(128) NOT NULL
) ENGINE=InnoDB COMMENT='markers that Midflight writes to find its place in the binlog';

CREATE TABLE IF NOT EXISTS midflight.tables (
  schema_name VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  table_name VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  migration_id BIGINT NOT NULL,
  drop_at DATETIME(6) NULL COMMENT 'an old table, kept until then',
  PRIMARY KEY (schema_name, table_name),
  KEY by_migration (migration_id)
) ENGINE=InnoDB COMMENT='tables that Midflight has made or kept';

CREATE TABLE IF NOT EXISTS midflight.triggers (
  migration_id BIGINT NOT NULL,
  position INT NOT NULL COMMENT 'in the order in which they fire',
  definition JSON NOT NULL,
  PRIMARY KEY (migration_id, position)
) ENGINE=InnoDB COMMENT='triggers on their way to the new table';

CREATE TABLE IF NOT EXISTS midflight.heartbeats (
  owner VARCHAR(40) NOT NULL PRIMARY KEY,
  number BIGINT NOT NULL,
  sent_at BIGINT NOT NULL COMMENT 'microseconds since 1970, of the Midflight''s clock'
) ENGINE=InnoDB COMMENT='by which the replicas'' lag is known';

CREATE TABLE IF NOT EXISTS midflight.limits (
  name VARCHAR(64) NOT NULL PRIMARY KEY,
  value VARCHAR(255) NOT NULL,
  set_by VARCHAR(288) NOT NULL,
  set_at DATETIME(6) NOT NULL
) ENGINE=InnoDB COMMENT='rules of when rows are copied, instead of the configuration''s';
