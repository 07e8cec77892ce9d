// Package binlog yields one server's committed transactions, in order, from a
// position, with the row changes of the watched tables reduced to their keys.
//
// The consumer pulls (Subscription.Next, Stream.Next). What it is given has been
// written to the binlog, which says nothing about whether a read sees it yet: a server
// writes the binlog before its engine commits. Visibility answers that.
//
// A Hub reads the binlog once for all who watch: feed (packets), source (one
// connection, its taps), tap (one consumer's assembler and queue).
package binlog
