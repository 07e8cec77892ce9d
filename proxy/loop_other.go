//go:build !linux

package proxy

import (
	"context"
	"net"
)

// loops are epoll loops; elsewhere than on Linux all sessions are carried by
// goroutines.
type loops struct{}

func newLoops(*Server) loops                           { return loops{} }
func (*loops) open(context.Context) error              { return nil }
func (*loops) run()                                    {}
func (*loops) stop()                                   {}
func (*loops) carry(*session, net.Conn, net.Conn) bool { return false }
