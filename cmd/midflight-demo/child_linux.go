package main

import "syscall"

// The process group keeps a terminal's Ctrl-C from the program, which ends
// after its clients; the signal ends it when the demo crashes.
func child() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
