package intercept

import (
	"time"

	"midflight/schema"
)

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
	Attempts   int           // at its lock; 0: it was left to the server as it came
	Waited     time.Duration // until the last of them
	For        string        // for whom, as far as somebody was seen
}

// NotRecorded: the trail could not be written. The statement went its way.
type NotRecorded struct {
	Connection uint32
	Err        error
}

func (Intercepted) event() {}
func (Forwarded) event()   {}
func (NotRecorded) event() {}
