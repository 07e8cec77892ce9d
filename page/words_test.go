package page

import (
	"database/sql"
	"testing"

	"midflight/ghost"
	"midflight/store"
)

func TestSayable(t *testing.T) {
	for _, c := range []struct {
		what string
		m    store.Migration
		want string
	}{
		{"queued", store.Migration{Phase: ghost.Queued, CutOver: "auto"}, "pause cancel"},
		{"copying", store.Migration{Phase: ghost.Copying, Path: "copy", CutOver: "auto"}, "pause throttle cancel"},
		{"paused", store.Migration{Phase: ghost.Copying, Path: "copy", CutOver: "auto", Paused: true}, "resume throttle cancel"},
		{"copying, in a window", store.Migration{Phase: ghost.Copying, Path: "copy", CutOver: "02:00-04:00"}, "pause throttle cutover cancel"},
		{"ready", store.Migration{Phase: ghost.Ready, Path: "copy", CutOver: "manual"}, "pause cutover cancel"},
		{"ready, leave is given", store.Migration{Phase: ghost.Ready, Path: "copy", CutOver: "manual", MaySwap: true}, "pause cancel"},
		{"cutting over", store.Migration{Phase: ghost.CuttingOver, Path: "copy", CutOver: "manual"}, "cancel"},
		{"in the server", store.Migration{Phase: ghost.CuttingOver, Path: "instant", CutOver: "auto"}, "cancel"},
		{"it is being canceled", store.Migration{Phase: ghost.Copying, Path: "copy", Canceling: true}, ""},
		{"ended", store.Migration{Phase: ghost.Failed, Path: "copy", Done: sql.NullTime{Valid: true}}, ""},
	} {
		got := ""
		for i, w := range sayable(c.m) {
			if i > 0 {
				got += " "
			}
			got += w.Procedure
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", c.what, got, c.want)
		}
	}
}
