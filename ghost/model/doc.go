// Package model is the algorithm of a migration with the server taken out: for
// tests of interleavings that no real server shows on request. The rules of
// when a key may be applied, must wait or may be forgotten, and of when a
// difference counts, are not retold here: they are backlog.Backlog,
// backlog.Copied, chunk.Range and verify.Verification themselves.
//
// What it knows of the server:
//
//   - A transaction is written to the binlog, and may be delivered from then on.
//     Later it becomes visible to new reads, in any order; only then are its
//     rows' locks released, and its values' where a unique key guards them.
//     Later still it is in gtid_executed, which is all that the engine may ask.
//   - A statement that copies or applies reads one snapshot and writes at some
//     later time: all its rows, or none and error 1062. One that compares reads
//     both tables in one snapshot.
//   - Under a collation that ignores case a row's key has two spellings. (So two
//     batches of other keys may have one row: then there is one at a time.)
//   - A transaction's keys may not be in the binlog, or the transaction itself not:
//     then it is known when its session's command runs, and has ended.
//   - An answer may be lost, a transaction rolled back, and the engine die: then
//     what it was doing is committed or not, and the next one begins from the
//     checkpoint. A fault may spoil a row of the shadow before it is compared, or each
//     time it is written.
//
// A run ends with a swap, which must find equal tables; with the user's
// duplicate, which one snapshot of the original must have; or with a row that
// differs, which must be a spoiled one.
//
// What it leaves out: docs/algorithm.md, "The model".
package model
