package ghost

import (
	"testing"

	"midflight/binlog"
)

// A row that differs is convicted by the marker written after the comparison,
// unless a change of it was delivered before the marker.
func TestVerification(t *testing.T) {
	on := func() verification {
		v := newVerification(true)
		v.on = true
		return v
	}
	t.Run("off: nothing is noted", func(t *testing.T) {
		v := newVerification(true)
		v.changed("1")
		v.applied([]binlog.Key{"2"})
		if len(v.dirty) > 0 {
			t.Errorf("dirty: %v", v.dirty)
		}
	})
	t.Run("changed and applied keys are compared", func(t *testing.T) {
		v := on()
		v.changed("1")
		v.applied([]binlog.Key{"2"})
		if !v.dirty["1"] || !v.dirty["2"] {
			t.Errorf("dirty: %v", v.dirty)
		}
	})
	t.Run("a change while it is compared", func(t *testing.T) {
		v := on()
		v.checked["1"] = true
		v.changed("1")
		if v.checked["1"] || !v.dirty["1"] {
			t.Errorf("checked %v, dirty %v", v.checked, v.dirty)
		}
	})
	t.Run("the marker convicts", func(t *testing.T) {
		v := on()
		v.suspect["1"] = true
		v.tokens["m"] = []binlog.Key{"1"}
		if v.quiet() {
			t.Error("quiet with a suspect")
		}
		if v.passed("another") != nil {
			t.Error("convicted by another marker")
		}
		if v.passed("m") == nil {
			t.Error("not convicted")
		}
	})
	t.Run("the first marker does not convict a second time", func(t *testing.T) {
		v := on()
		v.suspect["1"] = true
		v.tokens["m1"] = []binlog.Key{"1"}
		v.changed("1")        // acquits
		v.suspect["1"] = true // differed once more, since
		v.tokens["m2"] = []binlog.Key{"1"}
		if v.passed("m1") != nil {
			t.Error("convicted by the marker of before the change")
		}
		if v.passed("m2") == nil {
			t.Error("not convicted by its own marker")
		}
	})
	t.Run("a key that may be spelled otherwise stays to be compared", func(t *testing.T) {
		v := newVerification(false)
		v.on = true
		v.checked["a"], v.suspect["b"] = true, true
		v.changed("A")
		if v.checked["a"] || !v.dirty["b"] || v.suspect["b"] {
			t.Errorf("checked %v, dirty %v, suspect %v", v.checked, v.dirty, v.suspect)
		}
	})
	t.Run("a change before the marker acquits", func(t *testing.T) {
		v := on()
		v.suspect["1"] = true
		v.tokens["m"] = []binlog.Key{"1"}
		v.changed("1")
		if err := v.passed("m"); err != nil || !v.dirty["1"] || len(v.tokens) > 0 {
			t.Errorf("%v, dirty %v", err, v.dirty)
		}
	})
	t.Run("quiet with few keys left", func(t *testing.T) {
		v := on()
		for k := range smallBacklog {
			v.dirty[binlog.MakeKey(string(rune('a'+k)))] = true
		}
		if !v.quiet() {
			t.Error("not quiet")
		}
		v.checked["x"] = true
		if v.quiet() {
			t.Error("quiet with more")
		}
	})
}
