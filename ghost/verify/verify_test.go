package verify

import (
	"testing"

	"midflight/binlog"
)

const few = 200

// A row that differs is convicted by the marker written after the comparison,
// unless a change of it was delivered before the marker.
func TestVerification(t *testing.T) {
	on := func() Verification {
		v := New(true)
		v.Begin(nil)
		return v
	}
	t.Run("off: nothing is noted", func(t *testing.T) {
		v := New(true)
		v.Changed("1")
		v.Applied([]binlog.Key{"2"})
		if len(v.dirty) > 0 {
			t.Errorf("dirty: %v", v.dirty)
		}
	})
	t.Run("applied keys are compared, and changed ones when they are applied", func(t *testing.T) {
		v := on()
		v.Changed("1")
		v.Applied([]binlog.Key{"2"})
		if v.dirty["1"] || !v.dirty["2"] {
			t.Errorf("dirty: %v", v.dirty)
		}
	})
	t.Run("a change while it is compared", func(t *testing.T) {
		v := on()
		v.checked["1"] = true
		v.Changed("1")
		if v.checked["1"] {
			t.Errorf("checked %v", v.checked)
		}
		v.Compared([]binlog.Key{"1"}, "m")
		if !v.dirty["1"] || len(v.suspect) > 0 {
			t.Errorf("dirty %v, suspect %v", v.dirty, v.suspect)
		}
	})
	t.Run("what a range has mended while it was compared by key", func(t *testing.T) {
		v := on()
		v.Mend()
		v.checked["1"], v.checked["2"] = true, true
		if mend := v.Differ([]binlog.Key{"1"}); len(mend) != 1 {
			t.Errorf("mends %v", mend)
		}
		if _, unexplained := v.Compared([]binlog.Key{"1"}, "m"); unexplained || !v.dirty["1"] {
			t.Errorf("convicts what the key's comparison has seen before it was mended; dirty %v", v.dirty)
		}
	})
	t.Run("the marker convicts", func(t *testing.T) {
		v := on()
		v.suspect["1"] = true
		v.tokens["m"] = []binlog.Key{"1"}
		if v.Quiet(few) {
			t.Error("quiet with a suspect")
		}
		if _, convicted := v.Passed("another"); convicted {
			t.Error("convicted by another marker")
		}
		if _, convicted := v.Passed("m"); !convicted {
			t.Error("not convicted")
		}
	})
	t.Run("the first marker does not convict a second time", func(t *testing.T) {
		v := on()
		v.suspect["1"] = true
		v.tokens["m1"] = []binlog.Key{"1"}
		v.Changed("1")        // acquits
		v.suspect["1"] = true // differed once more, since
		v.tokens["m2"] = []binlog.Key{"1"}
		if _, convicted := v.Passed("m1"); convicted {
			t.Error("convicted by the marker of before the change")
		}
		if k, convicted := v.Passed("m2"); !convicted || k != "1" {
			t.Error("not convicted by its own marker")
		}
	})
	t.Run("a key that may be spelled otherwise stays to be compared", func(t *testing.T) {
		v := New(false)
		v.Begin(nil)
		v.checked["a"], v.suspect["b"] = true, true
		v.Changed("A")
		if v.checked["a"] || !v.dirty["b"] || v.suspect["b"] {
			t.Errorf("checked %v, dirty %v, suspect %v", v.checked, v.dirty, v.suspect)
		}
	})
	t.Run("a change before the marker acquits", func(t *testing.T) {
		v := on()
		v.suspect["1"] = true
		v.tokens["m"] = []binlog.Key{"1"}
		v.Changed("1")
		if _, convicted := v.Passed("m"); convicted || !v.dirty["1"] || len(v.tokens) > 0 {
			t.Errorf("convicted: %v, dirty %v", convicted, v.dirty)
		}
	})
	t.Run("quiet with few keys left", func(t *testing.T) {
		v := on()
		for k := range few {
			v.dirty[binlog.MakeKey(string(rune('a'+k)))] = true
		}
		if !v.Quiet(few) {
			t.Error("not quiet")
		}
		v.checked["x"] = true
		if v.Quiet(few) {
			t.Error("quiet with more")
		}
	})
}

// After a hidden change a row that differs is applied once; if it differs again
// and nobody has changed it, it is a fault.
func TestMend(t *testing.T) {
	v := New(true)
	v.Begin(nil)
	v.Mend()
	compare := func(token string) ([]binlog.Key, bool) {
		v.Again([]binlog.Key{"1"})
		if keys := v.Settled(9, func(binlog.Key) bool { return false }); len(keys) != 1 {
			t.Fatalf("to compare: %q", keys)
		}
		return v.Compared([]binlog.Key{"1"}, token)
	}
	if mend, unexplained := compare("m1"); len(mend) != 1 || unexplained || v.Quiet(0) {
		t.Errorf("the first time: mend %q, unexplained %v", mend, unexplained)
	}
	if mend, unexplained := compare("m2"); len(mend) != 0 || !unexplained {
		t.Errorf("the second time: mend %q, unexplained %v", mend, unexplained)
	}
	v.Mend() // may explain it
	if _, convicted := v.Passed("m2"); convicted || v.Quiet(0) {
		t.Error("convicted, or forgotten, though something hid before the marker came back")
	}
	if mend := v.Differ([]binlog.Key{"1"}); len(mend) != 1 {
		t.Errorf("found in a range after another change: mend %q", mend)
	}
	if mend := v.Differ([]binlog.Key{"1"}); len(mend) != 0 {
		t.Errorf("found in a range once more: mend %q", mend)
	}
	if mend, unexplained := compare("m3"); len(mend) != 0 || !unexplained {
		t.Errorf("once more: mend %q, unexplained %v", mend, unexplained)
	}
	if _, convicted := v.Passed("m3"); !convicted {
		t.Error("not convicted")
	}
}
