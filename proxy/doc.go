// Package proxy carries MySQL sessions: one client connection, one server
// connection, bytes forwarded as they are. It knows where commands begin and
// answers end, lets its caller intercept statements, and holds statements back
// for a bounded time.
//
// What it does not do: parse SQL, know passwords, keep connections of its own,
// change results.
//
// # Limits
//
//   - Compression is not offered to clients.
//   - A statement is looked at when it is in the read buffer (16 KiB), or, with
//     CLIENT_MULTI_STATEMENTS, up to 1 MiB long; longer ones are judged by their
//     beginning, with CLIENT_MULTI_STATEMENTS not at all. Text prepared and
//     executed by SQL (PREPARE … FROM, EXECUTE IMMEDIATE) and statements inside
//     stored procedures are not offered to Intercept.
//   - Full caching_sha2 or sha256 authentication (a cold cache) works when both
//     sides are TCP without TLS, or both have TLS; a client on our unix socket in
//     front of a server on plain TCP, and the reverse, can only use the fast path.
//   - Clients from before protocol 4.1 are carried opaquely: no interception, and
//     no hold.
package proxy
