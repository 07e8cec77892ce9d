package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"
)

// readyWithin is how long a new process may take until it is ready.
const readyWithin = time.Minute

// A handover starts a new process of this program, with the same arguments, and leaves
// it the sockets.
type handover struct {
	clients        listeners
	http           listener
	stdout, stderr io.Writer
}

// run returns when the new process accepts clients, or has failed and is gone: then
// nothing has happened.
func (h handover) run(ctx context.Context) (pid int, err error) {
	if os.Getpid() == 1 {
		return 0, errors.New("this is process 1, with which its container ends; start another container instead, and end this one with SIGTERM")
	}
	// Through links and PATH, as it was called: what was installed since is what is wanted.
	path, err := exec.LookPath(os.Args[0])
	if err != nil {
		return 0, fmt.Errorf("look for the program: %w", err)
	}
	names, files, err := h.leave()
	defer func() {
		for _, f := range files {
			f.Close()
		}
	}()
	if err != nil {
		return 0, err
	}
	tells, told, err := os.Pipe()
	if err != nil {
		return 0, fmt.Errorf("make a pipe: %w", err)
	}
	defer tells.Close()
	cmd := exec.Command(path, os.Args[1:]...)
	cmd.Args[0] = os.Args[0]
	cmd.Env = append(os.Environ(),
		fmt.Sprintf("LISTEN_FDS=%d", len(files)), "LISTEN_FDNAMES="+strings.Join(names, ":"), handoverFrom+"="+strconv.Itoa(os.Getpid()))
	cmd.ExtraFiles = append(files, told)
	cmd.Stdout, cmd.Stderr = h.stdout, h.stderr
	err = cmd.Start()
	told.Close()
	if err != nil {
		return 0, fmt.Errorf("start it: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()

	stop := context.AfterFunc(ctx, func() { tells.SetReadDeadline(time.Now()) })
	defer stop()
	tells.SetReadDeadline(time.Now().Add(readyWithin))
	line, err := bufio.NewReader(tells).ReadString('\n')
	switch {
	case line == "ready\n":
		return cmd.Process.Pid, nil
	case errors.Is(err, os.ErrDeadlineExceeded):
		err = fmt.Errorf("it was not ready within %s", readyWithin)
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		cmd.Process.Kill()
		<-ended
	default: // it has closed the pipe, so it ends; its last words are on stderr
		cmd.Process.Kill()
		err = fmt.Errorf("it has ended: %w", <-ended)
	}
	return 0, err
}

// leave makes descriptors of the sockets that another process can have, and names them.
func (h handover) leave() (names []string, files []*os.File, err error) {
	for i, l := range slices.Concat(h.clients, listeners{h.http}) {
		f, err := l.Listener.(interface{ File() (*os.File, error) }).File()
		if err != nil {
			return names, files, fmt.Errorf("duplicate a socket: %w", err)
		}
		name := namedClients
		if i == len(h.clients) {
			name = namedHTTP
		}
		if l.file {
			name += withFile
		}
		names, files = append(names, name), append(files, f)
	}
	return names, files, nil
}
