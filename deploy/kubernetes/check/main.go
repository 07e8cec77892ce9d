// Command check decodes the manifests strictly into Kubernetes' own types: a misspelled key
// or a value of the wrong kind is an error. It is a module of its own, so that these types are no
// dependency of Midflight's.
package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"sigs.k8s.io/yaml"
)

// kinds are those that have types here; the operator's and kustomize's have not.
var kinds = map[string]func() any{
	"v1 Namespace":                  func() any { return new(corev1.Namespace) },
	"v1 Service":                    func() any { return new(corev1.Service) },
	"v1 Secret":                     func() any { return new(corev1.Secret) },
	"apps/v1 Deployment":            func() any { return new(appsv1.Deployment) },
	"policy/v1 PodDisruptionBudget": func() any { return new(policyv1.PodDisruptionBudget) },
}

func main() {
	files, _ := filepath.Glob(filepath.Join(os.Args[1], "*.yaml"))
	failed := len(files) == 0
	for _, file := range files {
		said, err := check(file)
		fmt.Printf("%s: %s\n", filepath.Base(file), said)
		if err != nil {
			fmt.Println(err)
			failed = true
		}
	}
	if failed {
		os.Exit(1)
	}
}

func check(file string) (said string, err error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return "not read", err
	}
	if bytes.Contains(b, []byte("\n---\n")) {
		return "not checked", fmt.Errorf("%s has several documents", file)
	}
	var head struct{ APIVersion, Kind string }
	if err := yaml.Unmarshal(b, &head); err != nil {
		return "not YAML", err
	}
	kind := head.APIVersion + " " + head.Kind
	empty, ok := kinds[kind]
	if !ok {
		return "no types for " + kind, nil
	}
	if err := yaml.UnmarshalStrict(b, empty()); err != nil {
		return "wrong", err
	}
	return kind, nil
}
