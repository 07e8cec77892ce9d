package drivers

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"midflight/internal/localserver"
	"midflight/internal/testmidflight"
	"midflight/internal/testmysql"
)

// A site is a server, and a Midflight in front of it. Both show the same
// certificate, else a client that verifies it could tell them apart.
type site struct {
	*testmysql.Server
	m    *testmidflight.Midflight
	cert certificate
}

func eachSite(t *testing.T, fn func(t *testing.T, s *site)) {
	if testing.Short() {
		t.Skip("NOT TESTED with other drivers (-short)")
	}
	cert := newCertificate(t)
	for _, f := range localserver.Flavors {
		t.Run(string(f), func(t *testing.T) {
			t.Parallel()
			args := []string{"--ssl-ca=" + cert.ca, "--ssl-cert=" + cert.cert, "--ssl-key=" + cert.key, "--max-allowed-packet=100M"}
			if f == testmysql.MySQL {
				args = append(args, "--protocol-compression-algorithms=zlib,zstd,uncompressed")
			}
			s := testmysql.Start(t, f, args...)
			s.Exec(t, "CREATE USER app IDENTIFIED BY 'secret'", "GRANT ALL ON *.* TO app",
				"CREATE USER other IDENTIFIED BY 'different'", "GRANT ALL ON talk.* TO other")
			if f == testmysql.MySQL {
				s.Exec(t, "INSTALL COMPONENT 'file://component_query_attributes'")
			}
			// SHOW TABLES would show the old tables that are kept.
			fn(t, &site{s, testmidflight.Start(t, s, "--tls-cert", cert.cert, "--tls-key", cert.key, "--keep-old", "0"), cert})
		})
	}
}

type certificate struct{ ca, cert, key string }

func newCertificate(t *testing.T) certificate {
	t.Helper()
	dir := t.TempDir()
	c := certificate{filepath.Join(dir, "ca.pem"), filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")}
	caKey, ca := sign(t, c.ca, nil, nil, &x509.Certificate{Subject: pkix.Name{CommonName: "a test's authority"}, IsCA: true,
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	key, _ := sign(t, c.cert, ca, caKey, &x509.Certificate{Subject: pkix.Name{CommonName: "127.0.0.1"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"localhost", "127.0.0.1"},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	writePEM(t, c.key, "PRIVATE KEY", der)
	return c
}

// sign writes a certificate, signed by the parent, or by itself.
func sign(t *testing.T, path string, parent *x509.Certificate, parentKey *ecdsa.PrivateKey, c *x509.Certificate) (*ecdsa.PrivateKey, *x509.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c.SerialNumber = big.NewInt(time.Now().UnixNano())
	c.NotBefore, c.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(24*time.Hour)
	if parent == nil {
		parent, parentKey = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, parentKey)
	if err != nil {
		t.Fatal(err)
	}
	writePEM(t, path, "CERTIFICATE", der)
	c, err = x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return key, c
}

func writePEM(t *testing.T, path, kind string, der []byte) {
	t.Helper()
	// The server may run as another user.
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o644); err != nil {
		t.Fatal(err)
	}
}
