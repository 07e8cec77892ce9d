package main

import (
	"fmt"
	"syscall"
)

// enoughFiles is for 10 000 proxied connections, and far more.
const enoughFiles = 100_000

// raiseFiles raises the limit of open files, which every child inherits, as far
// as the system lets us, and returns it.
func raiseFiles() (int, error) {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return 0, fmt.Errorf("read the limit of open files: %w", err)
	}
	if l.Max < enoughFiles {
		// Only root may, and not in every container.
		if syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: enoughFiles, Max: enoughFiles}) == nil {
			return enoughFiles, nil
		}
	}
	l.Cur = min(l.Max, enoughFiles)
	// Also where nothing changes: a limit set by us is what children inherit,
	// else Go gives them the one that we were started with.
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return 0, fmt.Errorf("raise the limit of open files to %d: %w", l.Cur, err)
	}
	return int(l.Cur), nil
}

// fitting is how many connections a proxy can carry that may open so many files.
func fitting(connections, files int) int {
	const others = 200 // listeners, libraries, the proxy's own connections
	return min(connections, (files-others)/2)
}
