// Package replication has the tests on real replication: a source with replicas, some of
// them slow, late, stopped or gone, and what a migration makes of it (docs/throttling.md).
package replication
