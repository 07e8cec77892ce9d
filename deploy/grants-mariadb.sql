-- Midflight's own account: it copies tables, reads the binlog and keeps its
-- records in the schema midflight. Applications keep their own accounts. What each
-- privilege is for: docs/security.md.
CREATE USER IF NOT EXISTS 'midflight'@'%' IDENTIFIED BY 'change me';
GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, ALTER, INDEX, LOCK TABLES, TRIGGER,
  SHOW VIEW, PROCESS, REPLICATION SLAVE, BINLOG MONITOR, CONNECTION ADMIN
  ON *.* TO 'midflight'@'%';
-- To find the replicas, and to ask them how far behind they are. Before MariaDB 10.5.9
-- REPLICATION SLAVE ADMIN stands for SLAVE MONITOR.
GRANT REPLICATION MASTER ADMIN, SLAVE MONITOR ON *.* TO 'midflight'@'%';
-- Not on *.*: it must never call what users have written.
GRANT CREATE ROUTINE, ALTER ROUTINE, EXECUTE ON midflight.* TO 'midflight'@'%';
-- For tables with triggers: they are made again on the new table, with their
-- definers. Where the binlog is on, the server wants log_bin_trust_function_creators
-- as well (or SUPER).
GRANT SET USER ON *.* TO 'midflight'@'%';
