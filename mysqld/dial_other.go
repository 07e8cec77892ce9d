//go:build !linux

package mysqld

import "syscall"

func unacknowledged(_, _ string, _ syscall.RawConn) error { return nil }
