-- Midflight's own account: it copies tables, reads the binlog and keeps its
-- records in the schema midflight. Applications keep their own accounts. What each
-- privilege is for: docs/security.md.
CREATE USER IF NOT EXISTS 'midflight'@'%' IDENTIFIED BY 'change me';
GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, ALTER, INDEX, LOCK TABLES, TRIGGER,
  SHOW VIEW, PROCESS, REPLICATION SLAVE, REPLICATION CLIENT, XA_RECOVER_ADMIN,
  SESSION_VARIABLES_ADMIN, CONNECTION_ADMIN
  ON *.* TO 'midflight'@'%';
-- Not on *.*: it must never call what users have written.
GRANT CREATE ROUTINE, ALTER ROUTINE, EXECUTE ON midflight.* TO 'midflight'@'%';
-- For tables with triggers: they are made again on the new table, with their
-- definers. Where the binlog is on, the server wants log_bin_trust_function_creators
-- as well (or SUPER).
GRANT SET_ANY_DEFINER ON *.* TO 'midflight'@'%';
