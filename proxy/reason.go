package proxy

import (
	"errors"
	"fmt"
	"os"

	"midflight/proxy/wire"
)

// Reason says why a connection never became a session, or why a session has
// ended. There are few of them: they are a metric's label.
type Reason string

const (
	ReasonClientLeft        Reason = "client_left"        // before it had logged in
	ReasonClientTLS         Reason = "client_tls"         // no TLS could be agreed on, or it is required
	ReasonAuthFailed        Reason = "auth_failed"        // the server knows no such user and password
	ReasonMalformed         Reason = "malformed"          // the client speaks no MySQL
	ReasonTimeout           Reason = "timeout"            // the client took too long
	ReasonProxyProtocol     Reason = "proxy_protocol"     // no PROXY header, or a malformed one
	ReasonLimit             Reason = "limit"              // --max-connections, --max-user-connections, --max-handshakes
	ReasonShutdown          Reason = "shutdown"           // ours
	ReasonServerRefused     Reason = "server_refused"     // too many connections, host blocked, no such database …
	ReasonServerUnreachable Reason = "server_unreachable" // it can't be dialled
	ReasonServerTLS         Reason = "server_tls"         // no TLS with the server, or not its certificate
	ReasonServerFailed      Reason = "server_failed"      // it left, fell silent, or spoke something else
)

// Why sessions end. (ReasonShutdown and ReasonServerFailed are among these, too.)
const (
	ReasonQuit         Reason = "quit"          // COM_QUIT
	ReasonClientClosed Reason = "client_closed" // without COM_QUIT
	ReasonClientBroken Reason = "client_broken" // reset, or no way to reach it
	ReasonServerClosed Reason = "server_closed" // KILL, wait_timeout, its shutdown …
	ReasonDrained      Reason = "drained"       // ours, and the session was idle
	ReasonIntercept    Reason = "intercept"     // a schema change could not be answered
)

// reasonOf is why a session has ended.
func reasonOf(b Blame, quit bool, err error) Reason {
	switch {
	case b == BlameClient && quit:
		return ReasonQuit
	case b == BlameClient && err == nil:
		return ReasonClientClosed
	case b == BlameClient:
		return ReasonClientBroken
	case b == BlameServer && err == nil:
		return ReasonServerClosed
	case b == BlameServer:
		return ReasonServerFailed
	case errors.Is(err, errShutdown):
		return ReasonShutdown
	case errors.Is(err, errDrained):
		return ReasonDrained
	}
	return ReasonIntercept
}

// Blame says whose fault it was that a connection never became a session.
func (r Reason) Blame() Blame {
	switch r {
	case ReasonServerRefused, ReasonServerUnreachable, ReasonServerTLS, ReasonServerFailed:
		return BlameServer
	case ReasonLimit, ReasonShutdown:
		return BlameProxy
	}
	return BlameClient
}

// handshakeError is why a handshake has failed.
type handshakeError struct {
	reason Reason
	err    error
}

func (e *handshakeError) Error() string { return e.err.Error() }
func (e *handshakeError) Unwrap() error { return e.err }

func failed(r Reason, doing string, err error) error {
	return &handshakeError{r, fmt.Errorf("%s: %w", doing, err)}
}

// clientFailed tells a client that has left from one that keeps us waiting and
// from one that speaks something else.
func clientFailed(doing string, err error) error {
	switch {
	case errors.Is(err, errEvicted):
		return failed(ReasonLimit, doing, err)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return failed(ReasonTimeout, doing, err)
	case errors.Is(err, wire.ErrMalformed), errors.Is(err, errOutOfOrder), errors.Is(err, errTooLong):
		return failed(ReasonMalformed, doing, err)
	}
	return failed(ReasonClientLeft, doing, err)
}

// errRefused says that the server answered with an ERR, which was relayed.
var errRefused = errors.New("the server refused the session")

// refused is for the server's ERR instead of its greeting or at the login's end.
func refused(doing string, p []byte, login bool) error {
	e, err := wire.ParseErr(p)
	if err != nil {
		return failed(ReasonServerFailed, doing, err)
	}
	r := ReasonServerRefused
	if login && authErrors[e.Number] {
		r = ReasonAuthFailed
	}
	return failed(r, doing, fmt.Errorf("%w: %w", errRefused, e))
}

// authErrors are about who logs in, and not about the server or its load.
var authErrors = map[uint16]bool{
	1045:          true, // ER_ACCESS_DENIED_ERROR
	errNoPassword: true,
	1251:          true, // ER_NOT_SUPPORTED_AUTH_MODE
	1524:          true, // ER_PLUGIN_IS_NOT_LOADED
	1862:          true, // ER_MUST_CHANGE_PASSWORD_LOGIN
	3118:          true, // ER_ACCOUNT_HAS_BEEN_LOCKED
	3955:          true, // ER_USER_ACCESS_DENIED_FOR_USER_ACCOUNT_BLOCKED_BY_PASSWORD_LOCK
	4151:          true, // MariaDB's ER_ACCOUNT_HAS_BEEN_LOCKED
}
