package localserver

import "syscall"

// The process group keeps a terminal's Ctrl-C from the server, which its owner
// ends after its clients.
func dieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}
