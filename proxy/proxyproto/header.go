package proxyproto

import (
	"errors"
	"fmt"
	"net"
)

// A Header says who connects to whom. Without a Source the sender speaks for
// itself (LOCAL), or doesn't know (UNKNOWN): the connection's own address counts.
type Header struct {
	Source, Dest net.Addr // *net.TCPAddr or *net.UnixAddr
}

// ErrMalformed says that what came is no header, or none that may be believed.
var ErrMalformed = errors.New("malformed PROXY header")

func malformed(what string, args ...any) error {
	return fmt.Errorf("%w: "+what, append([]any{ErrMalformed}, args...)...)
}

// signature begins version 2. It is as long as what may be read before it is
// known which version comes: no header of version 1 is shorter.
const signature = "\r\n\r\n\x00\r\nQUIT\n"
