package proxy

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/user"
	"sync"

	"golang.org/x/sys/unix"

	"midflight/proxy/wire"
)

// mayUseSocket guards accounts that a server authenticates by the socket's peer
// (auth_socket, unix_socket). On the server's socket the peer is Midflight, and
// the account with Midflight's own name would be open to everybody. So he who
// wants to be that user must be that user, on our socket.
func (h *handshake) mayUseSocket() error {
	if network(h.cfg.Server) != "unix" || h.response.User == "" || h.response.User != ownName() || isOurselves(h.client.Conn) {
		return nil
	}
	h.refuse(&wire.Err{Number: errNoPassword, State: "28000", Message: withRemark(
		fmt.Sprintf("Access denied for user '%s'@'localhost'", h.response.User),
		"it runs as the system's user of this name, which the server's socket may take for a proof; use another account, let --server be HOST:PORT, or run Midflight as another user")})
	return failed(ReasonAuthFailed, "handshake response", errors.New("the user is the one whom the server's socket takes us for"))
}

// ownName is the system's name for who we are, "" if it has none.
var ownName = sync.OnceValue(func() string {
	u, err := user.LookupId(fmt.Sprint(os.Geteuid()))
	if err != nil {
		return ""
	}
	return u.Username
})

// isOurselves tells whether the other end of a unix socket is of our own user.
func isOurselves(c net.Conn) bool {
	u, ok := bare(c).(*net.UnixConn)
	if !ok {
		return false
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return false
	}
	same := false
	err = raw.Control(func(fd uintptr) {
		cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
		same = err == nil && int(cred.Uid) == os.Geteuid()
	})
	return same && err == nil
}
