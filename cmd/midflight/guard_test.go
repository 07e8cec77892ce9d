package main

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"

	"midflight/metrics"
	"midflight/page"
)

// The HTTP side is for this machine alone, or asks who it is.
func TestHTTPIsGuarded(t *testing.T) {
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	for name, text := range map[string]string{"token": "a token of some length\n", "short": "too short", "empty": "\n"} {
		if err := os.WriteFile(file(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	writePair(t, file("cert"), file("key"), "first")
	for _, c := range []struct {
		args string
		says string // "": it is taken
	}{
		{"", ""},
		{"--http localhost:0", ""},
		{"--http [::1]:0", ""},
		{"--http /run/midflight-http.sock", ""},
		{"--http 0.0.0.0:0", "--http 0.0.0.0:0 can be reached from other machines"},
		{"--http :9307", "can be reached from other machines"},
		{"--http [::]:0", "can be reached from other machines"},
		{"--http 10.0.0.5:9307", "give it --http-token-file"},
		{"--http localhost.example.com:0", "can be reached from other machines"},
		{"--http 0.0.0.0:0 --http-tls-cert {cert} --http-tls-key {key}", "can be reached from other machines"},
		{"--http 0.0.0.0:0 --http-token-file {token}", ""},
		{"--http 0.0.0.0:0 --http-token-file {short}", "at least"},
		{"--http-token-file {empty}", "at least"},
		{"--http-token-file /nowhere", "no such file"},
		{"--http 0.0.0.0:0 --http-client-ca {cert}", "needs --http-tls-cert"},
		{"--http-tls-key {key}", "go together"},
		{"--http 0.0.0.0:0 --http-client-ca {cert} --http-tls-cert {cert} --http-tls-key {key}", ""},
	} {
		args := strings.Fields(c.args)
		for i := range args {
			if name, ok := strings.CutPrefix(args[i], "{"); ok {
				args[i] = file(strings.TrimSuffix(name, "}"))
			}
		}
		var conf config
		if _, err := conf.parse("serve", args, io.Discard, (*config).serveFlags); err != nil {
			t.Fatal(err)
		}
		_, err := conf.guard(t.Context(), loggerOn(zap.NewNop()))
		if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", c.args, err, c.says)
		}
	}
}

func TestHTTPToken(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	write := func(token string) {
		if err := os.WriteFile(file, []byte(token), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("the first of the tokens\n")
	g := guard{tokenFile: file}
	asks := func(g guard, host string, set func(*http.Request)) int {
		r := httptest.NewRequest("GET", "/metrics", nil)
		r.Host = host
		set(r)
		w := httptest.NewRecorder()
		g.only(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})).ServeHTTP(w, r)
		return w.Code
	}
	with := func(value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set("Authorization", value) }
	}
	none := func(*http.Request) {}
	check := func(what string, got, want int) {
		t.Helper()
		if got != want {
			t.Errorf("%s: %d, want %d", what, got, want)
		}
	}
	check("nothing", asks(g, "127.0.0.1", none), 401)
	check("the token", asks(g, "anything", with("Bearer the first of the tokens")), 200)
	check("a password", asks(g, "anything", func(r *http.Request) { r.SetBasicAuth("me", "the first of the tokens") }), 200)
	check("another", asks(g, "127.0.0.1", with("Bearer the first of the token")), 401)
	check("none behind Bearer", asks(g, "127.0.0.1", with("Bearer ")), 401)
	check("another scheme", asks(g, "127.0.0.1", with("the first of the tokens")), 401)
	write("the second of the tokens")
	check("the first, later", asks(g, "127.0.0.1", with("Bearer the first of the tokens")), 401)
	check("the second", asks(g, "127.0.0.1", with("Bearer the second of the tokens")), 200)
	write("")
	check("an empty file", asks(g, "127.0.0.1", with("Bearer ")), 401)
	os.Remove(file)
	check("no file", asks(g, "127.0.0.1", with("Bearer ")), 401)
	for host, want := range map[string]int{"127.0.0.1:9307": 200, "localhost:9307": 200, "localhost": 200, "[::1]:9307": 200, "evil.example:9307": 403, "127.0.0.1.evil.example": 403} {
		check("loopback called "+host, asks(guard{}, host, none), want)
	}
}

// Certificates of the HTTP side, and their change.
func TestHTTPCertificates(t *testing.T) {
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	mine, mineKey := filepath.Join(dir, "mine.pem"), filepath.Join(dir, "mine-key.pem")
	writePair(t, cert, key, "first")
	writePair(t, mine, mineKey, "prometheus")
	var conf config
	if _, err := conf.parse("serve", []string{"--http", "0.0.0.0:0", "--http-tls-cert", cert, "--http-tls-key", key, "--http-client-ca", mine}, io.Discard, (*config).serveFlags); err != nil {
		t.Fatal(err)
	}
	g, err := conf.guard(t.Context(), loggerOn(zap.NewNop()))
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- serveHTTP(t.Context(), nil, l, g, metrics.New(""), &page.Page{}) }()
	own, err := tls.LoadX509KeyPair(mine, mineKey)
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	get := func(path string, with ...tls.Certificate) (int, *x509.Certificate) {
		t.Helper()
		c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true, Certificates: with}}, Timeout: 10 * time.Second}
		r, err := c.Get("https://" + l.Addr().String() + path)
		if err != nil {
			return 0, nil
		}
		r.Body.Close()
		return r.StatusCode, r.TLS.PeerCertificates[0]
	}
	for _, c := range []struct {
		path string
		with []tls.Certificate
		want int
	}{{"/healthz", nil, 200}, {"/metrics", nil, 401}, {"/", nil, 401}, {"/metrics", []tls.Certificate{own}, 200}} {
		if got, _ := get(c.path, c.with...); got != c.want {
			t.Errorf("%s with %d certificates: %d, want %d", c.path, len(c.with), got, c.want)
		}
	}
	// A client sends none that the server's CAs don't fit; one that does all the same is refused.
	if got, _ := get("/metrics", stranger); got == 200 {
		t.Errorf("a stranger's certificate opens the metrics")
	}
	if r, err := http.Get("http://" + l.Addr().String() + "/metrics"); err == nil && r.StatusCode == 200 {
		t.Errorf("without TLS: %s", r.Status)
	}
	writePair(t, cert, key, "second")
	syscall.Kill(os.Getpid(), syscall.SIGHUP)
	await(t, "the new certificate is offered", func() bool {
		_, offered := get("/healthz")
		return offered != nil && offered.Subject.CommonName == "second"
	})
}
