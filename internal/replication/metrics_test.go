package replication

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"midflight/internal/testmidflight"
)

// line is the value of a series.
func line(t *testing.T, m *testmidflight.Midflight, series string) string {
	t.Helper()
	r, err := http.Get("http://" + m.HTTP + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(b), "\n"+series+" ")
	value, _, _ := strings.Cut(after, "\n")
	return value
}
