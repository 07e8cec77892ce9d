package backlog

import (
	"slices"

	"midflight/binlog"
	"midflight/ghost/chunk"
)

// Copied says how far the row copy is: all chunks up to the watermark are
// committed, those in flight lie between it and what was dispatched last. Its
// owner tells it before a chunk is handed to a worker, and after a chunk's
// transaction has committed.
//
// Invariant: chunks are dispatched one behind the other, without gaps; they may
// be committed in any order.
type Copied struct {
	integers   bool       // the chunk key consists of integers
	dispatched binlog.Key // every chunk up to here was handed to a worker
	last       bool       // and the last one too, which begins there and has no upper bound
	flying     []chunk.Range
}

// NewCopied begins with nothing; integers tells that the chunk key consists of
// them, so that Go orders keys as the server does.
func NewCopied(integers bool) Copied { return Copied{integers: integers} }

// Resume goes on from a checkpoint: all up to the watermark is committed. The
// shadow may have rows beyond it, so each chunk's range is emptied first.
func Resume(integers bool, watermark binlog.Key) Copied {
	return Copied{integers: integers, dispatched: watermark}
}

// Dispatch notes that a worker is about to copy r. From then on none of its keys
// is Ahead.
func (c *Copied) Dispatch(r chunk.Range) {
	if c.last || r.Lo != c.dispatched {
		panic("BUG: chunks are dispatched with a gap between them")
	}
	if c.last = r.Hi == ""; !c.last {
		c.dispatched = r.Hi
	}
	c.flying = append(c.flying, r)
}

// Commit notes that the shadow has all of r.
func (c *Copied) Commit(r chunk.Range) {
	i := slices.Index(c.flying, r)
	if i < 0 {
		panic("BUG: a chunk is committed that was not dispatched")
	}
	c.flying = slices.Delete(c.flying, i, i+1)
}

// Watermark: all up to here is committed; "" is nothing. When it is Done this is
// where the last chunk began, so that whoever resumes copies that one again
// instead of taking "everything" for "nothing".
func (c *Copied) Watermark() binlog.Key {
	if len(c.flying) > 0 {
		return c.flying[0].Lo
	}
	return c.dispatched
}

// Dispatched is where the next chunk begins.
func (c *Copied) Dispatched() binlog.Key { return c.dispatched }

// AllDispatched: there is no next chunk.
func (c *Copied) AllDispatched() bool { return c.last }

// Done: everything is committed.
func (c *Copied) Done() bool { return c.last && len(c.flying) == 0 }

// Between: no chunk is in flight.
func (c *Copied) Between() bool { return len(c.flying) == 0 }

// Integers: Go orders the keys as the server does.
func (c *Copied) Integers() bool { return c.integers }

// Has tells whether the row of k is copied, as committed: it may be compared. A key
// that Go can't order may be anywhere until all is.
func (c *Copied) Has(k binlog.Key) bool {
	return c.Done() || c.integers && c.Place(k) == Behind
}

// A Place is where a changed key lies in relation to the row copy.
type Place int

const (
	InFlight Place = iota // in a chunk that is being copied, or nobody can tell
	Behind                // its chunk is committed; or, of a key that Go can't order, perhaps still ahead
	Ahead                 // no chunk with it is dispatched: it will be read later
)

// Place tells where k lies. Not knowing is InFlight, the side on which nothing
// is lost.
func (c *Copied) Place(k binlog.Key) Place {
	switch {
	case c.Done():
		return Behind
	case c.dispatched == "" && !c.last:
		return Ahead
	case !c.integers && len(c.flying) == 0:
		// Whether k is behind or ahead, the server tells while it applies: what
		// is read is bounded by the watermark.
		return Behind
	case !c.integers:
		return InFlight
	}
	for _, r := range c.flying {
		if r.Place(k, true) == chunk.Inside {
			return InFlight
		}
	}
	if !c.last && (chunk.Range{Hi: c.dispatched}).Place(k, true) == chunk.After {
		return Ahead
	}
	return Behind
}
