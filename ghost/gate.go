package ghost

import "midflight/throttle"

// A Gate knows what the server and its replicas show.
type Gate interface {
	// Enter tells that rows are copied, until leave is called.
	Enter() (leave func())
	// State is the latest.
	State() throttle.State
}

// ungated is the gate of an engine that nobody samples for.
type ungated struct{}

func (ungated) Enter() (leave func()) { return func() {} }
func (ungated) State() throttle.State { return throttle.State{} }

// A presence is one migration's at the gate. It belongs to the migration's goroutine.
type presence struct {
	Gate
	left func() // nil: it isn't there
}

func (p *presence) enter() {
	if p.left == nil {
		p.left = p.Enter()
	}
}

func (p *presence) leave() {
	if p.left != nil {
		p.left()
		p.left = nil
	}
}
