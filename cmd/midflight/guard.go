package main

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"

	"go.uber.org/zap"
)

// A guard says who sees the page and the metrics, and who steers. /healthz and /readyz say nothing, and
// are for everybody.
type guard struct {
	tokenFile string      // "": no token
	certs     bool        // a client's certificate will do
	tls       *tls.Config // nil: plain
}

// shortestToken is what nobody guesses.
const shortestToken = 16

// guard is what the flags say, and an error where others than those of this machine
// could see all.
func (c *config) guard(ctx context.Context, log logger) (guard, error) {
	g := guard{tokenFile: c.HTTPTokenFile, certs: c.HTTPClientCA != ""}
	switch {
	case (c.HTTPTLSCert == "") != (c.HTTPTLSKey == ""):
		return g, usageError{fmt.Errorf("--http-tls-cert and --http-tls-key go together")}
	case g.certs && c.HTTPTLSCert == "":
		return g, usageError{fmt.Errorf("--http-client-ca needs --http-tls-cert and --http-tls-key")}
	case g.open() && !private(c.HTTP):
		return g, usageError{fmt.Errorf("--http %s can be reached from other machines, and shows statements and users: give it --http-token-file, or --http-client-ca with --http-tls-cert and --http-tls-key", c.HTTP)}
	}
	if g.tokenFile != "" {
		if _, err := g.token(); err != nil {
			return g, err
		}
	}
	if c.HTTPTLSCert == "" {
		return g, nil
	}
	cert, err := newHTTPCertificate(c.HTTPTLSCert, c.HTTPTLSKey, c.HTTPClientCA, func(err error) {
		log.Error("the new certificate of HTTP can't be used, the one before stays", zap.Error(err))
	})
	if err != nil {
		return g, err
	}
	cert.refreshOnSIGHUP(ctx)
	g.tls = cert.config()
	return g, nil
}

// private: nobody but this machine's users can connect there.
func private(addr string) bool {
	if strings.HasPrefix(addr, "/") {
		return true
	}
	host, _, err := net.SplitHostPort(addr)
	ip := net.ParseIP(host)
	return err == nil && (host == "localhost" || ip != nil && ip.IsLoopback())
}

// open: neither a token nor a certificate is asked for.
func (g guard) open() bool { return g.tokenFile == "" && !g.certs }

func (g guard) token() (string, error) {
	b, err := os.ReadFile(g.tokenFile)
	if err != nil {
		return "", fmt.Errorf("read --http-token-file: %w", err)
	}
	token := strings.TrimSpace(string(b))
	if len(token) < shortestToken {
		return "", fmt.Errorf("--http-token-file %s: the token must have %d characters at least", g.tokenFile, shortestToken)
	}
	return token, nil
}

// only lets those through who may.
func (g guard) only(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case g.open() && !ownName(r.Host):
			http.Error(w, "call it by its address", http.StatusForbidden)
		case g.open(), g.certs && r.TLS != nil && len(r.TLS.VerifiedChains) > 0, g.hasToken(r):
			h.ServeHTTP(w, r)
		default:
			w.Header().Set("WWW-Authenticate", `Basic realm="midflight"`) // so that a browser asks
			http.Error(w, "who are you?", http.StatusUnauthorized)
		}
	})
}

// hasToken: as a bearer's token, or as a password, of whatever name.
func (g guard) hasToken(r *http.Request) bool {
	if g.tokenFile == "" {
		return false
	}
	given, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		_, given, ok = r.BasicAuth()
	}
	token, err := g.token()
	if !ok || err != nil {
		return false
	}
	a, b := sha256.Sum256([]byte(given)), sha256.Sum256([]byte(token)) // of equal length
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1
}

// who tells an admitted one from others. A name that came with the token is only what he
// calls himself, as the quotes say.
func (g guard) who(r *http.Request) string {
	if g.certs && r.TLS != nil && len(r.TLS.VerifiedChains) > 0 {
		return r.TLS.VerifiedChains[0][0].Subject.String()
	}
	if name, _, ok := r.BasicAuth(); ok && name != "" && !g.open() {
		return strconv.Quote(name[:min(len(name), longestName)])
	}
	if g.open() {
		return "somebody on this machine"
	}
	return "somebody with the token"
}

// longestName is what a history needs of a name.
const longestName = 64

// ownName is an address, or localhost: a page of somebody's whose name he has lead to
// 127.0.0.1 (DNS rebinding) comes with that name.
func ownName(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	return host == "" || host == "localhost" || net.ParseIP(strings.Trim(host, "[]")) != nil
}
