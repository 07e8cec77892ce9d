package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// writePair writes a new certificate with this name.
func writePair(t *testing.T, cert, key, name string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, tpl, tpl, k.Public(), k)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// offered is the name in the certificate that a client is offered.
func offered(t *testing.T, conf *tls.Config) string {
	t.Helper()
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	go tls.Server(b, conf).Handshake()
	c := tls.Client(a, &tls.Config{InsecureSkipVerify: true})
	if err := c.Handshake(); err != nil {
		t.Fatal(err)
	}
	return c.ConnectionState().PeerCertificates[0].Subject.CommonName
}

func TestCertificateChanges(t *testing.T) {
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	writePair(t, cert, key, "first")
	complaints := make(chan error, 10)
	c, err := newCertificate(cert, key, "", func(err error) { complaints <- err })
	if err != nil {
		t.Fatal(err)
	}
	later := func() { // a second has passed
		c.mu.Lock()
		defer c.mu.Unlock()
		c.checked = time.Time{}
	}
	conf := c.config()
	want := func(name string) {
		t.Helper()
		if got := offered(t, conf); got != name {
			t.Errorf("offered is %s, want %s", got, name)
		}
	}
	want("first")
	writePair(t, cert, key, "second")
	want("first") // they are not looked at for each client
	later()
	want("second")
	if err := os.WriteFile(key, []byte("no key"), 0o600); err != nil {
		t.Fatal(err)
	}
	later()
	want("second")
	later()
	want("second")
	if len(complaints) != 1 {
		t.Errorf("%d complaints about one broken pair", len(complaints))
	}
	writePair(t, cert, key, "third")
	later()
	want("third")
	if err := os.Remove(cert); err != nil {
		t.Fatal(err)
	}
	later()
	want("third")

	c.refreshOnSIGHUP(t.Context())
	writePair(t, cert, key, "fourth")
	syscall.Kill(os.Getpid(), syscall.SIGHUP)
	await(t, "SIGHUP is obeyed", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.checked = time.Now() // so that it is the signal that does it
		leaf, err := x509.ParseCertificate(c.now.Certificates[0].Certificate[0])
		return err == nil && leaf.Subject.CommonName == "fourth"
	})
	want("fourth")
	if _, err := newCertificate(cert, filepath.Join(dir, "none"), "", nil); err == nil {
		t.Error("a pair without a key")
	}
	if _, err := newCertificate(cert, key, key, nil); err == nil {
		t.Error("CAs without a certificate")
	}
}

// What the server is shown, and whose its certificate must be, are read again, too.
func TestServerCertificateChanges(t *testing.T) {
	dir := t.TempDir()
	cert, key, ca := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"), filepath.Join(dir, "ca.pem")
	writePair(t, cert, key, "first")
	writePair(t, ca, filepath.Join(dir, "ca-key.pem"), "the first's CA")
	complaints := make(chan error, 10)
	c, err := newServerCertificate(cert, key, ca, func(err error) { complaints <- err })
	if err != nil {
		t.Fatal(err)
	}
	conf := c.clientConfig() // once, as front does
	conf.InsecureSkipVerify = true
	own, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	shown := func() string {
		a, b := net.Pipe()
		defer a.Close()
		defer b.Close()
		server := tls.Server(b, &tls.Config{Certificates: []tls.Certificate{own}, ClientAuth: tls.RequireAnyClientCert})
		client := tls.Client(a, conf)
		go client.Handshake()
		if err := server.Handshake(); err != nil {
			t.Fatal(err)
		}
		return server.ConnectionState().PeerCertificates[0].Subject.CommonName
	}
	trusted := func() *x509.CertPool {
		pool, err := readPool("--server-ca", ca)
		if err != nil {
			t.Fatal(err)
		}
		return pool
	}
	want := func(name string, pool *x509.CertPool) {
		t.Helper()
		if got := shown(); got != name {
			t.Errorf("the server is shown %s, want %s", got, name)
		}
		if !c.authorities().Equal(pool) {
			t.Errorf("%s: the CAs are others", name)
		}
	}
	later := func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.checked = time.Time{}
	}
	want("first", trusted())
	writePair(t, cert, key, "second")
	writePair(t, ca, filepath.Join(dir, "ca-key.pem"), "the second's CA")
	later()
	second := trusted()
	want("second", second)
	if err := os.WriteFile(ca, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	later()
	want("second", second)
	if len(complaints) != 1 {
		t.Errorf("%d complaints about CAs that are none", len(complaints))
	}

	alone, err := newServerCertificate("", "", cert, nil)
	if err != nil || alone.authorities() == nil {
		t.Errorf("CAs alone: %v", err)
	}
	if alone, err = newServerCertificate(cert, key, "", nil); err != nil || alone.authorities() != nil {
		t.Errorf("a certificate alone: %v", err)
	}
}
