// Package wire is MySQL's and MariaDB's client/server protocol as pure
// functions and state machines over bytes: no sockets, no goroutines, no clock.
//
// Its centre is the [Walker], which follows a session by looking at the first
// bytes of each packet in whatever pieces they arrive, without copying or
// re-framing anything.
package wire
