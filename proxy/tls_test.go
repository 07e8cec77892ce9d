package proxy

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"midflight/internal/testmysql"
)

// An authority signs certificates for tests.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "CA"}, NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, tpl, tpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return authority{t, cert, key}
}

func (a authority) pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.cert)
	return p
}

func (a authority) certificate(names ...string) tls.Certificate {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	tpl := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "leaf"}, NotAfter: time.Now().Add(time.Hour), DNSNames: names,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}}
	der, err := x509.CreateCertificate(rand.Reader, tpl, a.cert, key.Public(), a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// driverTLS registers how the driver uses TLS, for this test.
func driverTLS(t *testing.T, conf *tls.Config) string {
	t.Helper()
	name := strings.NewReplacer("/", "_", " ", "_").Replace(t.Name()) + rand.Text()
	if err := mysql.RegisterTLSConfig(name, conf); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { mysql.DeregisterTLSConfig(name) })
	return name
}

func TestServerCA(t *testing.T) {
	s := testmysql.Shared(t, testmysql.MySQL)
	b, err := os.ReadFile(filepath.Join(s.Datadir, "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	its := x509.NewCertPool()
	its.AppendCertsFromPEM(b)
	f := startFront(t, Config{Server: s.Addr, TLS: testCertificate(t), ServerTLSMode: TLSOn, ServerCA: func() *x509.CertPool { return its }})
	mustConnect(t, f.addr, "root", "", "false")
	mustConnect(t, f.addr, "root", "", "skip-verify")
	f = startFront(t, Config{Server: s.Addr, TLS: testCertificate(t), ServerCA: newAuthority(t).pool})
	mustConnect(t, f.addr, "root", "", "false") // match: no TLS, so no certificate
	_, err = connect(t, f.addr, "root", "", "skip-verify")
	if number(err) != 2026 || !strings.Contains(err.Error(), "--server-ca") {
		t.Errorf("another CA: %v", err)
	}
	if e := <-f.failed; e.Reason != ReasonServerTLS || e.Blame != BlameServer {
		t.Errorf("%s, %s", e.Reason, e.Blame)
	}
}

// A server that can't do what --server-tls on demands is not spoken to in clear.
func TestServerWithoutTLS(t *testing.T) {
	s := testmysql.Shared(t, testmysql.MariaDB)
	f := startFront(t, Config{Server: s.Addr, TLS: testCertificate(t), ServerTLSMode: TLSOn})
	_, err := connect(t, f.addr, "root", "", "false")
	if number(err) != 2026 || !strings.Contains(err.Error(), "--server-tls on") {
		t.Errorf("on: %v", err)
	}
	f = startFront(t, Config{Server: s.Addr, TLS: testCertificate(t)})
	if _, err := connect(t, f.addr, "root", "", "skip-verify"); err == nil {
		t.Error("match offers what the server doesn't")
	}
	f = startFront(t, Config{Server: s.Addr, TLS: testCertificate(t), ServerTLSMode: TLSOff})
	mustConnect(t, f.addr, "root", "", "skip-verify")
}

func TestServerSeesOurCertificateAndTheClientsName(t *testing.T) {
	ca := newAuthority(t)
	caFile := filepath.Join(t.TempDir(), "ca.pem")
	writePEM(t, caFile, "CERTIFICATE", ca.cert.Raw)
	s := testmysql.Start(t, testmysql.MySQL, append(certificateFiles(t), "--ssl-ca="+caFile)...)
	s.Exec(t, "CREATE USER strict@'%' REQUIRE X509")
	sni := driverTLS(t, &tls.Config{InsecureSkipVerify: true, ServerName: "shop.example"})
	f := startFront(t, Config{Server: s.Addr, TLS: testCertificate(t)})
	if _, err := connect(t, f.addr, "strict", "", "skip-verify"); number(err) != 1045 {
		t.Errorf("without a certificate: %v", err)
	}
	f = startFront(t, Config{Server: s.Addr, TLS: testCertificate(t), ServerTLS: &tls.Config{Certificates: []tls.Certificate{ca.certificate()}}})
	c := mustConnect(t, f.addr, "strict", "", sni)
	if got := scan(t, c, "SHOW STATUS LIKE 'Tls_sni_server_name'"); got != "shop.example" {
		t.Errorf("the server sees the name %q", got)
	}
}

// Clients' certificates are worth something only if nobody can do without.
func TestClientCA(t *testing.T) {
	s := testmysql.Shared(t, testmysql.MySQL)
	ca := newAuthority(t)
	conf := testCertificate(t)
	conf.ClientCAs, conf.ClientAuth = ca.pool(), tls.RequireAndVerifyClientCert
	f := startFront(t, Config{Server: s.Addr, TLS: conf, RequireTLS: true})
	with := func(certs ...tls.Certificate) string {
		return driverTLS(t, &tls.Config{InsecureSkipVerify: true, Certificates: certs})
	}
	mustConnect(t, f.addr, "root", "", with(ca.certificate()))
	mustConnect(t, f.socket, "root", "", "false")
	if _, err := connect(t, f.addr, "root", "", "false"); number(err) != 3159 {
		t.Errorf("without TLS: %v", err)
	}
	for name, tlsName := range map[string]string{"no certificate": with(), "another CA's": with(newAuthority(t).certificate())} {
		if _, err := connect(t, f.addr, "root", "", tlsName); err == nil {
			t.Errorf("%s: it is let in", name)
		}
	}
	for range len(f.failed) {
		if e := <-f.failed; e.Reason != ReasonClientTLS {
			t.Errorf("%s: %v", e.Reason, e.Err)
		}
	}
}

// On the server's socket Midflight is somebody: not everybody may be that.
func TestOwnNameOnTheServersSocket(t *testing.T) {
	me := ownName()
	for _, f := range []testmysql.Flavor{testmysql.MySQL, testmysql.MariaDB} {
		t.Run(string(f), func(t *testing.T) {
			plugin, as := "--plugin-load-add=auth_socket.so", "IDENTIFIED WITH auth_socket"
			if f == testmysql.MariaDB {
				plugin, as = "--plugin-maturity=unknown", "IDENTIFIED VIA unix_socket"
			}
			s := testmysql.Start(t, f, plugin)
			if me != "root" {
				s.Exec(t, "CREATE USER "+me+"@localhost "+as)
			} else {
				s.Exec(t, "ALTER USER root@localhost "+as)
			}
			s.Exec(t, "CREATE USER other@'%' "+as)
			front := startFront(t, Config{Server: s.Socket})
			_, err := connect(t, front.addr, me, "", "false")
			if number(err) != 1698 || !strings.Contains(err.Error(), "; Midflight: ") {
				t.Errorf("by TCP: %v", err)
			}
			if e := <-front.failed; e.Reason != ReasonAuthFailed {
				t.Errorf("%s: %v", e.Reason, e.Err)
			}
			mustConnect(t, front.socket, me, "", "false") // whom the server would let in directly
			tcp := startFront(t, Config{Server: s.Addr})
			_, err = connect(t, tcp.addr, "other", "", "false")
			if number(err) != 1698 || !strings.HasSuffix(err.Error(), remarkSocket) {
				t.Errorf("a server on TCP: %v", err)
			}
		})
	}
}
