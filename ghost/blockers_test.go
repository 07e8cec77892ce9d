package ghost

import (
	"reflect"
	"testing"
	"time"
)

// A session that has the table locked reads from a snapshot as well, most often. It is one
// session, and --cutover-blocked kill must find its lock.
func TestEachBlockerOnce(t *testing.T) {
	list := eachOnce([]Blocker{
		{Connection: 7, Age: 9 * time.Second, Why: readsSnapshot},
		{Connection: 5, Age: 20 * time.Second},
		{Connection: 7, Age: 8 * time.Second, Why: "LOCK TABLES"},
		{Connection: 0, User: "a background thread"},
		{Connection: 0, User: "another"},
		{Connection: 7, Age: 3 * time.Second},
	})
	want := []Blocker{
		{Connection: 5, Age: 20 * time.Second},
		{Connection: 7, Age: 8 * time.Second, Why: "LOCK TABLES"},
		{Connection: 0, User: "a background thread"},
		{Connection: 0, User: "another"},
	}
	if !reflect.DeepEqual(list, want) {
		t.Errorf("got %v, want %v", list, want)
	}
}
