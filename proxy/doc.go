// Package proxy carries MySQL sessions: one client connection, one server
// connection, bytes forwarded as they are. It knows where commands begin and
// answers end, lets its caller intercept statements, and holds statements back
// for a bounded time.
//
// What it does not do: parse SQL, keep passwords, keep connections of its own,
// change results.
//
// A connection becomes a session in handshake.go: the PROXY header (origin.go), the
// server's greeting, TLS on either side (tls.go), the plugins' conversation
// (auth.go decides, relayAuth in packetconn.go does), and the polite end of what
// became none (leave.go). How many may be at it at once is the lobby's (lobby.go,
// docs/decisions/0023).
//
// Two kinds of carriers move a session's bytes: epoll loops (loop_linux.go) those of
// plain sessions, goroutines (pumps.go) those with TLS or compression. What bytes
// mean is decided in flow.go, for both. See docs/decisions/0012.
//
// What clients feel is counted for all statements (stats.go), and for those that name some
// tables sampled (sample.go, docs/decisions/0027).
//
// How sessions leave a server that ends is in drain.go (docs/decisions/0022).
//
// # Limits
//
//   - Commands that share a compressed packet with others are neither held nor
//     intercepted; no known client sends such.
//   - A statement is looked at when it is in the read buffer (16 KiB), or, with
//     CLIENT_MULTI_STATEMENTS, up to 1 MiB long; longer ones are judged by their
//     beginning, with CLIENT_MULTI_STATEMENTS not at all. Text prepared and
//     executed by SQL (PREPARE … FROM, EXECUTE IMMEDIATE) and statements inside
//     stored procedures are not offered to Intercept.
//   - Clients from before protocol 4.1 are carried opaquely: no interception, and
//     no hold.
package proxy
