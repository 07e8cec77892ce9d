package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"
	"syscall"
)

// A listener with a file removes it when it is closed. One without has none, or it is
// somebody else's.
type listener struct {
	net.Listener
	file bool
}

// keepFile says whether the file, if there is one, is left when the listener is closed.
func (l listener) keepFile(keep bool) {
	if u, ok := l.Listener.(*net.UnixListener); ok && l.file {
		u.SetUnlinkOnClose(!keep)
	}
}

// listeners are where clients connect.
type listeners []listener

// bare are they for who does nothing but listen.
func (ls listeners) bare() []net.Listener {
	var all []net.Listener
	for _, l := range ls {
		all = append(all, l.Listener)
	}
	return all
}

// listenAll listens on each of several addresses, with commas between, or on
// none.
func listenAll(addrs string) (listeners, error) {
	var all listeners
	for addr := range strings.SplitSeq(addrs, ",") {
		l, err := listen(strings.TrimSpace(addr))
		if err != nil {
			all.Close()
			return nil, err
		}
		all = append(all, l)
	}
	return all, nil
}

// Close closes all of them.
func (ls listeners) Close() {
	for _, l := range ls {
		l.Close()
	}
}

// String has no blanks: it is a field of the ready line.
func (ls listeners) String() string {
	var b strings.Builder
	for i, l := range ls {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(l.Addr().String())
	}
	return b.String()
}

func listen(addr string) (listener, error) {
	if !strings.HasPrefix(addr, "/") {
		l, err := net.Listen("tcp", addr)
		if err != nil {
			return listener{}, fmt.Errorf("listen: %w", err)
		}
		return listener{Listener: l}, nil
	}
	if err := removeStale(addr); err != nil {
		return listener{}, err
	}
	l, err := net.Listen("unix", addr)
	if err != nil {
		return listener{}, fmt.Errorf("listen: %w", err)
	}
	// As mysqld's is: who may log in is not the file system's business.
	if err := os.Chmod(addr, 0o777); err != nil {
		l.Close()
		return listener{}, fmt.Errorf("listen: %w", err)
	}
	return listener{l, true}, nil
}

// removeStale removes a socket that nobody listens on, which is what a crash
// leaves, and nothing else.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	if info.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("listen: %s exists and is not a socket; remove it, or name another path", path)
	}
	conn, err := net.Dial("unix", path)
	if err == nil {
		conn.Close()
		return fmt.Errorf("listen: somebody listens on %s already", path)
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return nil // listening says what is wrong
	}
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("listen: remove what a crash has left: %w", err)
	}
	return nil
}
