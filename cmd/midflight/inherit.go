package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// The sockets that a process is started with, and how it is told of them, are systemd's
// (sd_listen_fds(3)): LISTEN_FDS of them from descriptor 3 on, LISTEN_FDNAMES, and
// LISTEN_PID, so that no child takes them for its own. A Midflight that hands over to a
// new one does the same. But it can't know that one's LISTEN_PID beforehand, so it gives
// handoverFrom, and a pipe behind the sockets to be told by when the other is ready.
const (
	firstFD      = 3
	handoverFrom = "MIDFLIGHT_HANDOVER_FROM" // the old process's id

	namedHTTP    = "http"
	namedClients = "clients" // (systemd's may have any name)
	withFile     = "-file"   // behind a name: the socket's file is Midflight's to remove
)

// An inheritance is what a process was started with.
type inheritance struct {
	clients listeners
	http    *listener // nil: none
	ready   *os.File  // nil: nobody waits for that
}

// inherit takes what was left to this process, and leaves nothing of it to those that
// it will start.
func inherit() (in inheritance, err error) {
	will := readWill(os.Getenv, os.Getpid(), os.Getppid())
	for _, name := range []string{"LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", handoverFrom} {
		os.Unsetenv(name)
	}
	for i, b := range will.sockets {
		f := inheritFD(firstFD+i, b.name)
		l, e := net.FileListener(f) // has a descriptor of its own, and keeps the file
		f.Close()
		switch {
		case e != nil:
			err = errors.Join(err, fmt.Errorf("the inherited socket %q can't be listened on (in a systemd unit, ListenStream= and Accept=no make one that can): %w", b.name, e))
		case b.name != namedHTTP:
			in.clients = append(in.clients, listener{l, b.file})
		case in.http == nil:
			in.http = &listener{l, b.file}
		default:
			l.Close()
			err = errors.Join(err, errors.New("two inherited sockets are named http; leave one of them out"))
		}
	}
	if will.pipe {
		in.ready = inheritFD(firstFD+len(will.sockets), "ready")
	}
	return in, err
}

// orListen listens where nothing was inherited.
func (in inheritance) orListen(clients, http string) (cs listeners, people listener, err error) {
	if cs = in.clients; len(cs) == 0 {
		if cs, err = listenAll(clients); err != nil {
			return nil, listener{}, err
		}
	}
	if in.http != nil {
		return cs, *in.http, nil
	}
	if people, err = listen(http); err != nil {
		cs.Close()
	}
	return cs, people, err
}

// isReady tells the Midflight that hands over.
func (in inheritance) isReady() error {
	if in.ready == nil {
		return nil
	}
	defer in.ready.Close()
	_, err := in.ready.WriteString("ready\n")
	return err
}

func inheritFD(fd int, name string) *os.File {
	syscall.CloseOnExec(fd)
	return os.NewFile(uintptr(fd), name)
}

// A will is which descriptors are left to a process.
type will struct {
	sockets []bequest
	pipe    bool // behind them
}

type bequest struct {
	name string
	file bool // the socket's is to be removed when it is not listened on any more
}

// readWill reads the environment of the process pid, which parent has started.
func readWill(env func(string) string, pid, parent int) (w will) {
	switch {
	case env("LISTEN_PID") == strconv.Itoa(pid):
	case env(handoverFrom) == strconv.Itoa(parent):
		w.pipe = true
	default:
		return w
	}
	n, _ := strconv.Atoi(env("LISTEN_FDS"))
	names := strings.Split(env("LISTEN_FDNAMES"), ":")
	for i := range max(n, 0) {
		b := bequest{name: namedClients}
		if i < len(names) && names[i] != "" {
			b.name = names[i]
		}
		if w.pipe {
			b.name, b.file = strings.CutSuffix(b.name, withFile)
		}
		w.sockets = append(w.sockets, b)
	}
	return w
}
