package proxy

import (
	"testing"
	"time"

	"midflight/internal/testmysql"
)

func TestLatencySlots(t *testing.T) {
	for d := nanos(0); d < nanos(20*time.Minute); d = d*9/8 + 1 {
		slot := latencySlot(d)
		if slotEnd(slot) <= time.Duration(d) {
			t.Fatalf("%v is in a slot that ends at %v", time.Duration(d), slotEnd(slot))
		}
		if slot > 0 && slotEnd(slot-1) > time.Duration(d) {
			t.Fatalf("%v is in a slot that begins at %v", time.Duration(d), slotEnd(slot-1))
		}
		if slot > 4 && float64(slotEnd(slot)) > 1.26*float64(slotEnd(slot-1)) {
			t.Fatalf("slot %d: %v to %v", slot, slotEnd(slot-1), slotEnd(slot))
		}
	}
	if n := latencySlot(1 << 62); n != latencySlots-1 {
		t.Errorf("the longest is in slot %d", n)
	}
}

func TestStats(t *testing.T) {
	each(t, func(t *testing.T, s *testmysql.Server) {
		srv, addr := startProxy(t, Config{Server: s.Addr})
		c := dialRaw(t, addr, "", 0)
		c.query("SELECT 1")
		c.query("nonsense")
		c.query("SELECT SLEEP(0.02)")
		c.do("\x16SELECT 1")
		c.do(c.execute(1, 0))
		c.do(c.stmt(0x19, 1, ""))
		c.do("\x0e")
		got := map[string]CommandStats{}
		for _, k := range srv.Stats().Commands {
			got[k.Command] = k
		}
		for name, want := range map[string][3]uint64{
			"query": {3, 1, 3}, "stmt_prepare": {1, 0, 1}, "stmt_execute": {1, 0, 1}, "stmt_close": {1, 0, 0},
			"ping": {1, 0, 1}, "quit": {0, 0, 0},
		} {
			if k := got[name]; k.Begun != want[0] || k.Failed != want[1] || k.Latency.Count != want[2] {
				t.Errorf("%s: %+v", name, k)
			}
		}
		q := got["query"].Latency
		if q.Sum < 20*time.Millisecond || q.Slots[len(q.Slots)-1].End < 20*time.Millisecond {
			t.Errorf("latency: %+v", q)
		}
		if sum := srv.Stats(); sum.FromClients == 0 || sum.FromServers == 0 {
			t.Errorf("bytes: %d, %d", sum.FromClients, sum.FromServers)
		}
	})
}
