package deployment

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"gopkg.in/yaml.v3"

	"midflight/internal/testmidflight"
)

// flags are those of midflight serve, with their defaults, as it tells them itself.
func flags(t *testing.T) map[string]string {
	t.Helper()
	binary, err := testmidflight.Binary()
	if err != nil {
		t.Fatal(err)
	}
	out, _ := exec.Command(binary, "serve", "-h").CombinedOutput()
	found := map[string]string{}
	for _, f := range regexp.MustCompile(`(?m)^  -([a-z-]+).*\n(.*)`).FindAllStringSubmatch(string(out), -1) {
		found[f[1]] = ""
		if d := regexp.MustCompile(`\(default "?([^")]*)"?\)$`).FindStringSubmatch(f[2]); d != nil {
			found[f[1]] = d[1]
		}
	}
	if len(found) < 20 || found["listen"] == "" || found["drain"] == "" {
		t.Fatalf("midflight serve -h has %d flags, and no defaults:\n%s", len(found), out)
	}
	return found
}

// Whatever flag, variable or key a file in deploy or a page names is one of the program's.
func TestSettingsExist(t *testing.T) {
	known := flags(t)
	variables := map[string]bool{"MIDFLIGHT_PASSWORD": true, "MIDFLIGHT_CONFIG": true}
	for f := range known {
		variables["MIDFLIGHT_"+strings.ToUpper(strings.ReplaceAll(f, "-", "_"))] = true
	}
	variable, option := regexp.MustCompile(`\bMIDFLIGHT_[A-Z_]*[A-Z]\b`), regexp.MustCompile(`(?:^|[\s(])--([a-z][a-z-]*[a-z])\b`)
	n := 0
	for _, file := range []string{"compose.yaml", "Dockerfile", "midflight.service", "midflight.socket", "midflight.yaml", "kubernetes/deployment.yaml", "kubernetes/kustomization.yaml", "prometheus/alerts.yml", "../docs/cloud.md"} {
		text := string(read(t, file))
		for _, v := range variable.FindAllString(text, -1) {
			if n++; !variables[v] {
				t.Errorf("%s: there is no setting %s", file, v)
			}
		}
		if file == "compose.yaml" || file == "Dockerfile" { // other programs' options
			continue
		}
		for _, f := range option.FindAllStringSubmatch(text, -1) {
			if _, ok := known[f[1]]; !ok && f[1] != "config" {
				t.Errorf("%s: there is no flag --%s", file, f[1])
			}
			n++
		}
	}
	if n < 20 {
		t.Errorf("%d settings were found in the files", n)
	}
	var keys map[string]string
	if err := yaml.Unmarshal(read(t, "midflight.yaml"), &keys); err != nil || len(keys) == 0 {
		t.Fatalf("%d keys, %v", len(keys), err)
	}
	for k := range keys {
		if _, ok := known[k]; !ok {
			t.Errorf("midflight.yaml: there is no setting %s", k)
		}
	}
}

// Whoever ends the program lets it drain.
func TestDrainFits(t *testing.T) {
	drain, err := time.ParseDuration(flags(t)["drain"])
	if err != nil {
		t.Fatal(err)
	}
	const rest = 5 * time.Second // to leave the migrations, and to end
	fits := func(file string, grace time.Duration) {
		t.Helper()
		if grace < drain+rest {
			t.Errorf("%s gives it %s, and --drain is %s", file, grace, drain)
		}
	}
	seconds := func(v any) time.Duration {
		t.Helper()
		s, ok := v.(int)
		if !ok {
			t.Fatalf("%v is no number of seconds", v)
		}
		return time.Duration(s) * time.Second
	}
	pod := at(documents(t, read(t, "kubernetes", "deployment.yaml"))[0], "spec", "template", "spec")
	fits("kubernetes", seconds(at(pod, "terminationGracePeriodSeconds"))-seconds(at(pod, "containers", 0, "lifecycle", "preStop", "sleep", "seconds")))
	grace, err := time.ParseDuration(fmt.Sprint(at(documents(t, read(t, "compose.yaml"))[0], "services", "midflight", "stop_grace_period")))
	if err != nil {
		t.Fatal(err)
	}
	fits("compose.yaml", grace)
	stop := regexp.MustCompile(`(?m)^TimeoutStopSec=(\d+)$`).FindSubmatch(read(t, "midflight.service"))
	if stop == nil {
		t.Fatal("midflight.service has no TimeoutStopSec")
	}
	if grace, err = time.ParseDuration(string(stop[1]) + "s"); err != nil {
		t.Fatal(err)
	}
	fits("midflight.service", grace)
}

// In compose.yaml what is named is there: files, secrets, volumes, services.
func TestCompose(t *testing.T) {
	file := documents(t, read(t, "compose.yaml"))[0]
	services, _ := at(file, "services").(map[string]any)
	secrets, _ := at(file, "secrets").(map[string]any)
	volumes, _ := at(file, "volumes").(map[string]any)
	if len(services) < 6 {
		t.Fatalf("%d services", len(services))
	}
	made := string(read(t, "compose", "make-secrets"))
	for name := range secrets {
		if path := fmt.Sprint(at(secrets, name, "file")); path != "compose/secrets/"+name || !regexp.MustCompile(`\b`+name+`\b`).MatchString(made) {
			t.Errorf("the secret %s is %s, which make-secrets doesn't make", name, path)
		}
	}
	for name, s := range services {
		var own []string
		list, _ := at(s, "secrets").([]any)
		for _, secret := range list {
			own = append(own, fmt.Sprint(secret))
			if secrets[fmt.Sprint(secret)] == nil {
				t.Errorf("%s: there is no secret %s", name, secret)
			}
		}
		variables, _ := at(s, "environment").(map[string]any)
		for v, value := range variables {
			if path, ok := strings.CutPrefix(fmt.Sprint(value), "/run/secrets/"); ok && !slices.Contains(own, path) {
				t.Errorf("%s: %s is a secret that it doesn't have", name, v)
			}
		}
		list, _ = at(s, "volumes").([]any)
		for _, v := range list {
			from, _, _ := strings.Cut(fmt.Sprint(v), ":")
			if strings.HasPrefix(from, ".") {
				if _, err := os.Stat(filepath.Join(deploy, from)); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			} else if _, ok := volumes[from]; !ok {
				t.Errorf("%s: there is no volume %s", name, from)
			}
		}
		switch after := at(s, "depends_on").(type) {
		case map[string]any:
			for other := range after {
				if at(services, other, "healthcheck") == nil {
					t.Errorf("%s waits for the health of %s, which has no check", name, other)
				}
			}
		case []any:
			for _, other := range after {
				if services[fmt.Sprint(other)] == nil {
					t.Errorf("%s: there is no service %s", name, other)
				}
			}
		}
	}
	// Prometheus' own file names a service, and a secret that it has.
	config := string(read(t, "prometheus", "prometheus.yml"))
	if !strings.Contains(config, "midflight:9307") || !strings.HasSuffix(fmt.Sprint(at(services, "midflight", "environment", "MIDFLIGHT_HTTP")), ":9307") || !strings.Contains(config, "/run/secrets/http_token") {
		t.Error("Prometheus asks elsewhere than Midflight listens")
	}
}

// In the manifests what is named is there: files, labels, ports, the secret's keys.
func TestKubernetes(t *testing.T) {
	one := func(file string) map[string]any {
		t.Helper()
		d := documents(t, read(t, "kubernetes", file))
		if len(d) != 1 {
			t.Fatalf("%s has %d documents", file, len(d))
		}
		return d[0]
	}
	resources, _ := at(one("kustomization.yaml"), "resources").([]any)
	for _, r := range resources {
		one(fmt.Sprint(r))
	}
	deployment := one("deployment.yaml")
	labels := fmt.Sprint(at(deployment, "spec", "template", "metadata", "labels"))
	for what, selector := range map[string]any{
		"the deployment":  at(deployment, "spec", "selector", "matchLabels"),
		"the service":     at(one("service.yaml"), "spec", "selector"),
		"the budget":      at(one("poddisruptionbudget.yaml"), "spec", "selector", "matchLabels"),
		"the first topol": at(deployment, "spec", "template", "spec", "topologySpreadConstraints", 0, "labelSelector", "matchLabels"),
		"the other topol": at(deployment, "spec", "template", "spec", "topologySpreadConstraints", 1, "labelSelector", "matchLabels"),
	} {
		if fmt.Sprint(selector) != labels {
			t.Errorf("%s selects %v, the pods are %s", what, selector, labels)
		}
	}
	if at(one("servicemonitor.yaml"), "spec", "selector", "matchLabels", "app.kubernetes.io/name") != at(one("service.yaml"), "metadata", "labels", "app.kubernetes.io/name") {
		t.Error("the monitor finds no service")
	}
	container := at(deployment, "spec", "template", "spec", "containers", 0)
	ports := map[any]any{}
	list, _ := at(container, "ports").([]any)
	for _, p := range list {
		ports[at(p, "name")] = at(p, "containerPort")
	}
	used := []any{at(container, "livenessProbe", "httpGet", "port"), at(container, "readinessProbe", "httpGet", "port"), at(container, "startupProbe", "httpGet", "port"),
		at(one("service.yaml"), "spec", "ports", 0, "targetPort"), at(one("service.yaml"), "spec", "ports", 1, "targetPort"), at(one("servicemonitor.yaml"), "spec", "endpoints", 0, "port")}
	for _, name := range used {
		if ports[name] == nil {
			t.Errorf("there is no port %v", name)
		}
	}
	keys, _ := at(one("secret.example.yaml"), "stringData").(map[string]any)
	if len(fmt.Sprint(keys["http-token"])) < 16 || keys[fmt.Sprint(at(one("servicemonitor.yaml"), "spec", "endpoints", 0, "authorization", "credentials", "key"))] == nil {
		t.Error("the example has no token, or a short one")
	}
	list, _ = at(container, "env").([]any)
	for _, v := range list {
		value := fmt.Sprint(at(v, "value"))
		if key, ok := strings.CutPrefix(value, "/secrets/"); ok && keys[key] == nil {
			t.Errorf("%v: the secret has no %s", at(v, "name"), key)
		}
		for name, port := range map[string]string{"MIDFLIGHT_LISTEN": "mysql", "MIDFLIGHT_HTTP": "http"} {
			if at(v, "name") == name && !strings.HasSuffix(value, fmt.Sprint(":", ports[port])) {
				t.Errorf("%s is %s, the port %v", name, value, ports[port])
			}
		}
	}
}

// systemd understands the units.
func TestUnits(t *testing.T) {
	systemd, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("no systemd-analyze here")
	}
	binary, err := testmidflight.Binary()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, unit := range []string{"midflight.service", "midflight.socket"} {
		text := strings.ReplaceAll(string(read(t, unit)), "/usr/local/bin/midflight", binary)
		write(t, filepath.Join(dir, unit), []byte(text))
	}
	if out, err := exec.Command(systemd, "verify", filepath.Join(dir, "midflight.service"), filepath.Join(dir, "midflight.socket")).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
	out, err := exec.Command(systemd, "security", "--offline=true", "--threshold=25", filepath.Join(dir, "midflight.service")).CombinedOutput()
	if err != nil {
		t.Errorf("systemd-analyze security finds the service more exposed than 2.5: %v\n%s", err, out)
	}
}
