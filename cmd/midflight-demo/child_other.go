//go:build !linux

package main

import "syscall"

// Only Linux can tie a child's life to its parent's.
func child() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
