package binlog

import (
	"encoding/binary"
	"testing"
	"testing/synctest"
	"time"

	"midflight/internal/testmysql"
)

func TestReach(t *testing.T) {
	head := func(at time.Time, typ byte, flags uint16) []byte {
		b := make([]byte, headerSize)
		if !at.IsZero() {
			binary.LittleEndian.PutUint32(b, uint32(at.Unix()))
		}
		b[4] = typ
		binary.LittleEndian.PutUint16(b[17:], flags)
		return b
	}
	synctest.Test(t, func(t *testing.T) {
		var r reach
		began := time.Now().Truncate(time.Second)
		check := func(after string, want time.Duration) {
			t.Helper()
			if lag, ok := r.behind(time.Now()); ok != (want >= 0) || ok && lag != want {
				t.Errorf("%s: %s (known: %v), want %s", after, lag, ok, want)
			}
		}
		check("at first", -1)
		r.event(head(began.Add(-time.Hour), eventFormat, 0)) // when the file was begun
		r.event(head(time.Time{}, eventRotate, flagArtificial))
		r.event(head(began.Add(-time.Hour), eventQuery, flagArtificial))
		r.event([]byte("short"))
		check("nothing that counts", -1)
		r.event(head(began.Add(-time.Minute), eventXID, 0))
		check("an event of a minute ago", time.Minute)
		r.event(head(began.Add(-time.Hour), eventQuery, 0))
		check("a long transaction's first statement", time.Minute)
		time.Sleep(10 * time.Second)
		check("nothing for ten seconds", 70*time.Second)
		r.event(head(time.Time{}, eventHeartbeat, 0))
		check("a heartbeat", 0)
		time.Sleep(time.Second)
		r.event(head(began.Add(-time.Minute), eventXID, 0))
		check("an old event again, of a new connection", time.Second)
		r.skew.Store(int64(30 * time.Second)) // the server's clock is ahead
		r.event(head(time.Now().Add(25*time.Second), eventXID, 0))
		check("the same, with the server's clock ahead", time.Second)
		r.event(head(time.Now().Add(30*time.Second), eventXID, 0))
		check("now by the server's clock", 0)
		r.event(head(time.Now().Add(time.Minute), eventXID, 0))
		check("the future", 0)
	})
}

// A subscription that is read tells that it is near.
func TestBehind(t *testing.T) {
	testmysql.Each(t, func(t *testing.T, server *testmysql.Server) {
		b := newBench(t, server)
		b.exec("CREATE TABLE t (id INT PRIMARY KEY)")
		s := b.subscribe(b.hub(), b.watch("t"))
		for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
			lag, connected := s.Behind()
			if connected && lag >= 0 && lag < 3*time.Second {
				break
			}
			if time.Now().After(deadline) {
				b.Fatalf("behind by %s, connected: %v", lag, connected)
			}
		}
		s.Close()
		if _, connected := s.Behind(); connected {
			b.Error("a closed subscription is connected")
		}
	})
}
