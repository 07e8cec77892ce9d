package main

import (
	"time"

	"context"

	"midflight/ghost"
	"midflight/ghost/pace"
	"midflight/proxy"
)

// door lets the engine hold statements in the proxy; neither knows the other.
type door struct{ *proxy.Server }

func (d *door) Hold(names []string, bound time.Duration) ghost.Held {
	return held{d.Server.Hold(names, bound)}
}

func (d *door) Busy(names []string, age time.Duration) []ghost.Blocker {
	var blockers []ghost.Blocker
	for _, b := range d.Server.Busy(names) {
		if lasted := time.Since(b.Since); b.Touches && lasted >= age {
			blockers = append(blockers, ghost.Blocker{Connection: uint64(b.ID), User: b.User, Host: b.Client, Age: lasted, Statement: b.Statement})
		}
	}
	return blockers
}

func (d *door) Prepared(names []string) []ghost.Prepared {
	var list []ghost.Prepared
	for _, p := range d.Server.Prepared(names) {
		q := ghost.Prepared{Text: p.Text, Sessions: p.Sessions}
		for _, by := range p.Some {
			q.Some = append(q.Some, ghost.Preparer{Connection: uint64(by.ID), User: by.User, Host: by.Client})
		}
		list = append(list, q)
	}
	return list
}

// Felt is of statements, text and prepared ones.
func (d *door) Felt() (felt pace.Felt) {
	for _, c := range d.Server.Stats().Commands {
		if c.Command == "query" || c.Command == "stmt_execute" {
			felt = felt.And(pace.Felt{Latency: latency(c.Latency), Failed: c.Suffered})
		}
	}
	return felt
}

func (d *door) FeltOf(names []string, from, to time.Time) pace.Felt {
	f := d.Server.Felt(names, from, to)
	return pace.Felt{Latency: latency(f.Latency), Failed: f.Suffered}
}

func latency(from proxy.Latency) (l pace.Latency) {
	for _, s := range from.Slots {
		l.Slots = append(l.Slots, pace.Slot{End: s.End, Count: s.Count})
	}
	return l
}

func (d *door) Carries(connection uint64) bool { return d.Server.Carries(uint32(connection)) }

type held struct{ *proxy.Hold }

func (h held) Drained(ctx context.Context) error { return h.Hold.Drained(ctx) }

func (h held) Release() (int, time.Duration) {
	r := h.Hold.Release()
	return r.Statements, r.Longest
}
