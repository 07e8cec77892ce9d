-- Midflight's own account: it copies tables, reads the binlog and keeps its
-- records in the schema midflight. Applications keep their own accounts.
CREATE USER IF NOT EXISTS 'midflight'@'%' IDENTIFIED BY 'change me';
GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, ALTER, INDEX, LOCK TABLES, TRIGGER,
  SHOW VIEW, CREATE ROUTINE, ALTER ROUTINE, EXECUTE, PROCESS,
  REPLICATION SLAVE, BINLOG MONITOR
  ON *.* TO 'midflight'@'%';
-- For tables with triggers: they are made again on the new table, with their
-- definers. Where the binlog is on, the server wants log_bin_trust_function_creators
-- as well (or SUPER).
GRANT SET USER ON *.* TO 'midflight'@'%';
