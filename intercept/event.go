package intercept

import "midflight/schema"

// An Event is something that happened to a statement.
type Event interface{ event() }

// Intercepted: the engine has got the statement.
type Intercepted struct {
	Connection uint32
	Migration  int64
	Table      schema.Name
}

// Forwarded: the server runs a schema change as it was sent.
type Forwarded struct {
	Connection uint32
	Reason     string
}

func (Intercepted) event() {}
func (Forwarded) event()   {}
