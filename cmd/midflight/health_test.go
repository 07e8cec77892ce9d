package main

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
)

// An image's health is asked wherever the HTTP side listens.
func TestHealth(t *testing.T) {
	status, asked := 200, ""
	answers := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { asked = r.URL.Path; w.WriteHeader(status) })
	plain, secure, local := httptest.NewServer(answers), httptest.NewTLSServer(answers), httptest.NewUnstartedServer(answers)
	socket := filepath.Join(t.TempDir(), "http.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	local.Listener.Close()
	local.Listener = l
	local.Start()
	for _, s := range []*httptest.Server{plain, secure, local} {
		defer s.Close()
	}
	_, port, _ := net.SplitHostPort(plain.Listener.Addr().String())
	for _, c := range []struct {
		args string
		says int
		ok   bool
	}{
		{"--http " + plain.Listener.Addr().String(), 200, true},
		{"--http 0.0.0.0:" + port, 200, true},
		{"--http :" + port, 200, true},
		{"--http " + socket, 200, true},
		{"--http " + secure.Listener.Addr().String() + " --http-tls-cert c --http-tls-key k", 200, true},
		{"--http " + plain.Listener.Addr().String(), 503, false},
		{"--http " + socket + ".gone", 200, false},
	} {
		status, asked = c.says, ""
		var out bytes.Buffer
		err := health(t.Context(), strings.Fields(c.args), &out, io.Discard)
		if (err == nil) != c.ok || c.ok && (out.String() != "ok\n" || asked != "/healthz") {
			t.Errorf("%s: %v, %q, asked for %s", c.args, err, out.String(), asked)
		}
	}
}
