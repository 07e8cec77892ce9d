package binlog

import (
	"sync/atomic"
	"time"
)

// A reach is up to which moment a server's binlog has been read. It never goes back: a
// long transaction's events are as old as its statements.
type reach struct {
	skew atomic.Int64 // what the server's clock is ahead of ours, in ns
	to   atomic.Int64 // in ns by our clock; 0: not known yet
}

// event takes an event's head. The server sends a heartbeat when it has sent all that it
// has. A file's format says when the file was begun, and an artificial event nothing.
func (r *reach) event(head []byte) {
	if len(head) < headerSize {
		return
	}
	switch h := readHeader(head); {
	case h.typ == eventHeartbeat, h.typ == eventHeartbeat2:
		r.come(time.Now().UnixNano())
	case h.at == 0, h.typ == eventFormat, h.typ == eventRotate, h.flags&flagArtificial != 0:
	default:
		r.come(int64(h.at)*int64(time.Second) - r.skew.Load())
	}
}

// come is for the source's goroutine.
func (r *reach) come(to int64) {
	if to > r.to.Load() {
		r.to.Store(to)
	}
}

// behind is how far that is behind now; ok is false while nobody knows. Events are dated in
// whole seconds, and heartbeats come every second: up to two seconds are nothing.
func (r *reach) behind(now time.Time) (lag time.Duration, ok bool) {
	to := r.to.Load()
	return max(time.Duration(now.UnixNano()-to), 0), to != 0
}
