//go:build !linux

package localserver

import "syscall"

// Only Linux can tie a child's life to its parent's: elsewhere a server
// outlives a parent that crashes.
func dieWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
