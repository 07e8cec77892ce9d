package ghost

import (
	"context"

	"midflight/binlog"
)

// An early subscription watches nothing: it has the stream opened while the statement is
// still being tried. The server reads its whole binlog file to find where to begin.
type early struct {
	cancel context.CancelFunc
	done   chan struct{}
}

func subscribeEarly(ctx context.Context, hub *binlog.Hub) *early {
	ctx, cancel := context.WithCancel(ctx)
	e := &early{cancel, make(chan struct{})}
	go func() {
		defer close(e.done)
		s, err := hub.Subscribe(ctx, nil)
		if err != nil { // the real one will meet it
			return
		}
		for err == nil { // who doesn't take holds the others up
			_, err = s.Next(ctx)
		}
		s.Close()
	}()
	return e
}

// close may be called again, and of none.
func (e *early) close() {
	if e != nil {
		e.cancel()
		<-e.done
	}
}
