package ghost

import (
	"fmt"
	"slices"
	"testing"

	"midflight/binlog"
)

func TestFewest(t *testing.T) {
	var keys []binlog.Key
	for i := range 1000 {
		keys = append(keys, binlog.Key(fmt.Sprint(i)))
	}
	for _, want := range [][]binlog.Key{{"0"}, {"999"}, {"500"}, {"3", "998"}, {"499", "500"}, {"0", "1"}} {
		asked := 0
		got := fewest(keys, func(some []binlog.Key) bool {
			asked++
			return !slices.ContainsFunc(want, func(k binlog.Key) bool { return !slices.Contains(some, k) })
		})
		if !slices.Equal(got, want) || asked > 200 {
			t.Errorf("%q after %d questions, want %q", got, asked, want)
		}
	}
	if got := fewest(keys[:1], nil); len(got) != 1 {
		t.Errorf("of one key: %q", got)
	}
}
