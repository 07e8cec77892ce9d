// Package model is the algorithm of a migration with the server taken out: for
// tests of interleavings that no real server shows on request. The rules of
// when a key may be applied, must wait or may be forgotten are not retold here:
// they are backlog.Backlog, backlog.Copied and chunk.Range themselves.
//
// What it knows of the server:
//
//   - A transaction is written to the binlog, and may be delivered from then on.
//     Later it becomes visible to new reads, in any order; only then are its
//     rows' locks released, and its values' where a unique key guards them.
//     Later still it is in gtid_executed, which is all that the engine may ask.
//   - A statement that copies or applies reads one snapshot and writes at some
//     later time: all its rows, or none and error 1062.
//   - Under a collation that ignores case a row's key has two spellings. (So two
//     batches of other keys may have one row: then there is one at a time.)
//
// What it leaves out: transactions in progress (nobody sees them, and the lock
// of the cut-over waits for them), rows' locks on the shadow (a transaction
// that goes row by row has all of it to itself), the comparing of the tables.
package model
