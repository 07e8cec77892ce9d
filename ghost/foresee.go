package ghost

import (
	"time"

	"midflight/ghost/forecast"
)

// foresee shows how far the copy is and how long it will take, the building of its
// indexes included.
func (s *syncer) foresee() {
	st := &s.status
	st.Building = 0
	if st.Phase != Copying {
		// The last chunks may have come between two looks. It is 1 at the end only.
		st.RowsTotal = st.RowsCopied
		st.Progress, st.ETA, st.Rate = 0.999, -1, 0
		return
	}
	s.forecast.See(forecast.Seen{
		At: time.Now(), Rows: st.RowsCopied, Position: s.course.Position(s.copied.Watermark()),
		Copied: s.copied.Done(), Building: s.building,
	})
	st.RowsTotal, st.Progress, st.ETA, st.Rate = s.forecast.Total(), s.forecast.Progress(), -1, int64(s.forecast.Rate())
	if left, off, ok := s.forecast.Left(); ok {
		st.ETA, st.ETAError = left, off
	}
	if !s.building.IsZero() {
		st.Building, st.Rate = len(s.deferred), 0
	}
}
