package replication

import (
	"encoding/json"
	"os/exec"
	"testing"

	"midflight/internal/testmidflight"
)

// TestPlanTellsLags: who is asked what a change would do also hears how far the replicas are.
func TestPlanTellsLags(t *testing.T) {
	topologies(t, func(t *testing.T, top *topology) {
		top.fill(t, 10)
		top.replicas[1].Exec(t, term(top.replicas[1], "STOP REPLICA SQL_THREAD", "STOP SLAVE SQL_THREAD"))
		program, err := testmidflight.Binary()
		if err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(program, "plan", "--server", top.source.Addr, "--user", "root", "-o", "json", "ALTER TABLE shop.t ADD COLUMN x INT").Output()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		var plan struct {
			Lags []struct {
				Replica, Problem string
				Seconds          *float64
			} `json:"replica_lags"`
		}
		if err := json.Unmarshal(out, &plan); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		told := map[string]bool{} // by their addresses: whether it goes on
		for _, l := range plan.Lags {
			told[l.Replica] = l.Seconds != nil && l.Problem == ""
		}
		if len(told) != 2 || !told[top.replicas[0].Addr] || told[top.replicas[1].Addr] {
			t.Errorf("of %s and the stopped %s: %s", top.replicas[0].Addr, top.replicas[1].Addr, out)
		}
	})
}
