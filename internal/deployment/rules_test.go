package deployment

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

func TestRules(t *testing.T) {
	promtool(t, nil, "check", "rules", filepath.Join(deploy, "prometheus", "alerts.yml"))
	promtool(t, nil, "test", "rules", filepath.Join(deploy, "prometheus", "alerts_test.yml"))
}

// Each alert has a test in which it fires, and one in which it doesn't.
func TestEachAlertIsTested(t *testing.T) {
	fires, rests := map[any]bool{}, map[any]bool{}
	tests, _ := at(documents(t, read(t, "prometheus", "alerts_test.yml"))[0], "tests").([]any)
	for _, test := range tests {
		cases, _ := at(test, "alert_rule_test").([]any)
		for _, c := range cases {
			alerts, _ := at(c, "exp_alerts").([]any)
			fires[at(c, "alertname")] = fires[at(c, "alertname")] || len(alerts) > 0
			rests[at(c, "alertname")] = rests[at(c, "alertname")] || len(alerts) == 0
		}
	}
	n := 0
	groups, _ := at(documents(t, read(t, "prometheus", "alerts.yml"))[0], "groups").([]any)
	for _, g := range groups {
		rules, _ := at(g, "rules").([]any)
		for _, r := range rules {
			name := at(r, "alert")
			if name == nil {
				continue
			}
			if n++; !fires[name] || !rests[name] {
				t.Errorf("%s: tested that it fires: %v, that it doesn't: %v", name, fires[name], rests[name])
			}
			if at(r, "annotations", "description") == nil || at(r, "labels", "severity") == nil {
				t.Errorf("%s has no severity, or doesn't say what to do", name)
			}
		}
	}
	if n < 10 {
		t.Errorf("%d alerts", n)
	}
}

// Every metric that the alerts, their tests and the dashboard name is in the document, which a test holds
// against a real registry.
func TestMetricsExist(t *testing.T) {
	b, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]string{}
	for _, f := range regexp.MustCompile("(?m)^\\| `(midflight_\\w+)` \\| (\\w+) ").FindAllStringSubmatch(string(b), -1) {
		kinds[f[1]] = f[2]
	}
	part := regexp.MustCompile(`_(bucket|sum|count)$`)
	for _, file := range [][]string{{"prometheus", "alerts.yml"}, {"prometheus", "alerts_test.yml"}, {"grafana", "midflight.json"}} {
		names := regexp.MustCompile(`\bmidflight_\w+`).FindAllString(string(read(t, file...)), -1)
		if len(names) < 20 {
			t.Errorf("%v names %d metrics", file, len(names))
		}
		for _, name := range names {
			if whole := part.ReplaceAllString(name, ""); kinds[name] == "" && kinds[whole] != "histogram" {
				t.Errorf("%v: there is no %s", file, name)
			}
		}
	}
}

// Prometheus understands what the dashboard asks, and no panel lies over another.
func TestDashboard(t *testing.T) {
	var d struct {
		Panels []struct {
			Title, Type string
			ID          int
			GridPos     struct{ H, W, X, Y int }
			Targets     []struct{ Expr string }
		}
		Annotations struct{ List []struct{ Expr string } }
		Templating  struct{ List []struct{ Name string } }
	}
	if err := json.Unmarshal(read(t, "grafana", "midflight.json"), &d); err != nil {
		t.Fatal(err)
	}
	var asked []string
	for _, a := range d.Annotations.List {
		asked = append(asked, a.Expr)
	}
	taken, ids := map[[2]int]string{}, map[int]bool{}
	for _, p := range d.Panels {
		if ids[p.ID] {
			t.Errorf("%s has the id of another panel", p.Title)
		}
		ids[p.ID] = true
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if over := taken[[2]int{x, y}]; over != "" || x >= 24 {
					t.Fatalf("%s lies over %q, or beyond the edge", p.Title, over)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
		if len(p.Targets) == 0 && p.Type != "row" {
			t.Errorf("%s asks for nothing", p.Title)
		}
		for _, q := range p.Targets {
			asked = append(asked, q.Expr)
		}
	}
	variables := []string{"__rate_interval", "__interval"}
	for _, v := range d.Templating.List {
		variables = append(variables, v.Name)
	}
	variable := regexp.MustCompile(`\$(\w+)`)
	var rules []map[string]string
	for i, q := range asked {
		for _, v := range variable.FindAllStringSubmatch(q, -1) {
			if !slices.Contains(variables, v[1]) {
				t.Errorf("%s: there is no variable %s", q, v[1])
			}
		}
		q = strings.NewReplacer("$__rate_interval", "1m", "$__interval", "1m").Replace(q)
		rules = append(rules, map[string]string{"record": fmt.Sprintf("dashboard:%d", i), "expr": variable.ReplaceAllString(q, ".*")})
	}
	b, err := yaml.Marshal(map[string]any{"groups": []any{map[string]any{"name": "dashboard", "rules": rules}}})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "rules.yml")
	write(t, file, b)
	promtool(t, nil, "check", "rules", file)
}
