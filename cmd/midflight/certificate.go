package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

// A certificate is what clients, browsers or the server are shown, and whose the other
// side's must be, kept as the files are: they are looked at when TLS is wanted, at most once
// in lookEvery, and on SIGHUP. What can't be used leaves the one before in its place.
type certificate struct {
	cert, key, ca string             // files; no ca: the other side needs no certificate
	flags, caFlag string             // how the flags of these files are called
	wanted        tls.ClientAuthType // of clients where there is a ca
	complain      func(error)

	mu      sync.Mutex // guards what is below
	now     *tls.Config
	stamp   string // of the files that now was made from, or that were refused
	checked time.Time
}

const lookEvery = time.Second

func newCertificate(cert, key, ca string, complain func(error)) (*certificate, error) {
	return (&certificate{cert: cert, key: key, ca: ca, flags: "--tls", caFlag: "--tls-client-ca", wanted: tls.RequireAndVerifyClientCert, complain: complain}).first()
}

// newHTTPCertificate is for HTTP, where some answers are for everybody.
func newHTTPCertificate(cert, key, ca string, complain func(error)) (*certificate, error) {
	return (&certificate{cert: cert, key: key, ca: ca, flags: "--http-tls", caFlag: "--http-client-ca", wanted: tls.VerifyClientCertIfGiven, complain: complain}).first()
}

// newServerCertificate is for the server's side; either the pair or the CAs may be missing.
func newServerCertificate(cert, key, ca string, complain func(error)) (*certificate, error) {
	return (&certificate{cert: cert, key: key, ca: ca, flags: "--server", caFlag: "--server-ca", complain: complain}).first()
}

func (c *certificate) first() (*certificate, error) {
	c.checked = time.Now()
	c.stamp = c.stampFiles()
	var err error
	c.now, err = c.read()
	return c, err
}

// config is for a server of TLS.
func (c *certificate) config() *tls.Config {
	return &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return c.current(), nil }}
}

// clientConfig is for a client of TLS.
func (c *certificate) clientConfig() *tls.Config {
	return &tls.Config{GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		return &c.current().Certificates[0], nil
	}}
}

// authorities are the CAs of the other side.
func (c *certificate) authorities() *x509.CertPool { return c.current().ClientCAs }

func (c *certificate) current() *tls.Config {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.checked) >= lookEvery {
		c.refreshLocked()
	}
	return c.now
}

// refreshOnSIGHUP reads the files on that signal until ctx ends.
func (c *certificate) refreshOnSIGHUP(ctx context.Context) {
	hups := make(chan os.Signal, 1)
	signal.Notify(hups, syscall.SIGHUP)
	go func() {
		defer signal.Stop(hups)
		for {
			select {
			case <-hups:
				c.mu.Lock()
				c.stamp = ""
				c.refreshLocked()
				c.mu.Unlock()
			case <-ctx.Done():
				return
			}
		}
	}()
}

func (c *certificate) refreshLocked() {
	c.checked = time.Now()
	stamp := c.stampFiles()
	if stamp == c.stamp {
		return
	}
	// Noted even when it can't be used: it is complained of once.
	c.stamp = stamp
	next, err := c.read()
	if err != nil {
		c.complain(err)
		return
	}
	c.now = next
}

// stampFiles changes when a file does.
func (c *certificate) stampFiles() string {
	stamp := ""
	for _, name := range []string{c.cert, c.key, c.ca} {
		if info, err := os.Stat(name); err == nil {
			stamp += fmt.Sprint(info.ModTime().UnixNano(), info.Size(), " ")
		}
	}
	return stamp
}

func (c *certificate) read() (*tls.Config, error) {
	conf := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.cert != "" {
		pair, err := tls.LoadX509KeyPair(c.cert, c.key)
		if err != nil {
			return nil, fmt.Errorf("read the certificate (%[1]s-cert, %[1]s-key): %[2]w", c.flags, err)
		}
		conf.Certificates = []tls.Certificate{pair}
	}
	if c.ca != "" {
		var err error
		if conf.ClientCAs, err = readPool(c.caFlag, c.ca); err != nil {
			return nil, err
		}
		conf.ClientAuth = c.wanted
	}
	return conf, nil
}

func readPool(flag, file string) (*x509.CertPool, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read the certificates of %s: %w", flag, err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(b) {
		return nil, fmt.Errorf("%s: there is no certificate (PEM) in %s", flag, file)
	}
	return pool, nil
}
