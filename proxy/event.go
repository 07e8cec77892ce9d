package proxy

import "time"

// An Event is something that happened, told through Config.Observe, on the
// session's goroutine.
type Event interface{ event() }

// Blame says who ended a session.
type Blame string

const (
	BlameClient Blame = "client" // it left, or its network did
	BlameServer Blame = "server" // it closed the connection
	BlameProxy  Blame = "proxy"  // shutdown, or an interception that failed
)

// SessionOpened is told when a client has authenticated.
type SessionOpened struct {
	ID           uint32
	User, Client string
	TLS          bool
}

// SessionClosed is told when a session that was opened is over.
type SessionClosed struct {
	ID                     uint32
	User, Client           string
	Blame                  Blame
	Err                    error // nil: in the ordinary way
	Reason                 Reason
	Commands               uint64
	FromClient, FromServer uint64 // bytes
	Held                   int    // commands that waited in a hold
	Duration               time.Duration
}

// HandshakeFailed is told when a connection never became a session.
type HandshakeFailed struct {
	Client string
	Blame  Blame
	Reason Reason
	Err    error
}

func (SessionOpened) event()   {}
func (SessionClosed) event()   {}
func (HandshakeFailed) event() {}
