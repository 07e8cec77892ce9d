package ghost

import (
	"testing"
	"time"

	"midflight/schema"
)

// Who asks for what runs gets what was published last, in the order of the ids.
func TestRunning(t *testing.T) {
	q := new(Queue)
	if got := q.Running(); len(got) != 0 {
		t.Errorf("at first %v run", got)
	}
	seven, three := q.ticket(7, Request{}), q.ticket(3, Request{Table: schema.Name{Schema: "shop", Table: "orders"}})
	q.ours.add(seven.run)
	q.ours.add(three.run)
	three.run.status.Phase = Copying // not told yet
	got := q.Running()
	if len(got) != 2 || got[0].ID != 3 || got[1].ID != 7 || got[0].Phase != Queued {
		t.Errorf("%v", got)
	}
	if got[0].Streaming || got[0].Behind >= 0 {
		t.Errorf("nothing is read, and it is %s behind", got[0].Behind.Round(time.Second))
	}
	told := three.run.status
	three.run.shown.Store(&told)
	q.ours.remove(seven.run)
	if got := q.Running(); len(got) != 1 || got[0].ID != 3 || got[0].Phase != Copying {
		t.Errorf("then %v", got)
	}
}
