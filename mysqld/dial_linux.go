package mysqld

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// unacknowledged bounds how long what was sent may stay without an answer of the other
// machine's: the kernel would try for a quarter of an hour, and look for life by
// keepalives only when nothing is on its way.
func unacknowledged(_, _ string, c syscall.RawConn) (err error) {
	controlErr := c.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, 20_000) // ms
	})
	if err == nil {
		err = controlErr
	}
	return err
}
