// Package store keeps migrations in the schema midflight of the server that is
// migrated: it replicates and fails over with the tables, and any client can
// read it, with or without the proxy. Its tables and procedures are a contract
// (docs/trail.md): columns are added, never renamed.
package store
