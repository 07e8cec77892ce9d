package proxy

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"encoding/hex"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"midflight/internal/testmysql"
	"midflight/proxy/wire"
)

func expand(secret []byte, label string, n int) []byte {
	info := binary.BigEndian.AppendUint16(nil, uint16(n))
	info = append(info, byte(6+len(label)))
	info = append(info, "tls13 "+label...)
	info = append(info, 0)
	b, err := hkdf.Expand(sha256.New, secret, string(info), n)
	if err != nil {
		panic(err)
	}
	return b
}

// A TLS client that asks for new keys and reads nothing doesn't keep Serve from
// returning: the answer to its wish blocks inside a Read.
func TestKeyUpdates(t *testing.T) {
	if testing.Short() {
		t.Skip("NOT TESTED: 270 000 key updates (-short)")
	}
	s := testmysql.Shared(t, testmysql.MySQL)
	l, _ := net.Listen("tcp", "127.0.0.1:0")
	srv := New(Config{Server: s.Addr, TLS: testCertificate(t)})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- srv.Serve(ctx, l) }()

	d := net.Dialer{Control: func(_, _ string, c syscall.RawConn) error {
		return c.Control(func(fd uintptr) { unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, 4096) })
	}}
	conn, err := d.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	c, b := dialSSL(t, conn)
	var keys bytes.Buffer
	tc := tls.Client(conn, &tls.Config{InsecureSkipVerify: true, KeyLogWriter: &keys, MinVersion: tls.VersionTLS13})
	if err := tc.Handshake(); err != nil {
		t.Fatal(err)
	}
	if tc.ConnectionState().CipherSuite != tls.TLS_AES_128_GCM_SHA256 {
		t.Skip("another cipher")
	}
	c.Conn = tc
	writes := uint64(0)
	send := func(p []byte, seq byte) { c.sendSeq(p, seq); writes++ }
	send(append(b, "root\x00\x00\x00"+c.greeting.Plugin+"\x00"...), 2)
	for c.read()[0] != 0 {
		send(nil, c.seq+1)
	}
	var secret []byte
	for _, line := range strings.Split(keys.String(), "\n") {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "CLIENT_TRAFFIC_SECRET_0" {
			secret, _ = hex.DecodeString(f[2])
		}
	}
	seq := writes
	sent := 0
	for range 2000000 {
		block, _ := aes.NewCipher(expand(secret, "key", 16))
		aead, _ := cipher.NewGCM(block)
		nonce := expand(secret, "iv", 12)
		for i := range 8 {
			nonce[4+i] ^= byte(seq >> (56 - 8*i))
		}
		inner := []byte{24, 0, 0, 1, 1, 22}
		app := sent%12 == 11 // crypto/tls wants to see some data now and then: COM_STMT_CLOSE has no answer
		if app {
			inner = []byte{5, 0, 0, 0, wire.ComStmtClose, 9, 9, 9, 9, 23}
		}
		header := []byte{23, 3, 3, 0, byte(len(inner)) + 16}
		record := aead.Seal(bytes.Clone(header), nonce, inner, header)
		conn.SetWriteDeadline(time.Now().Add(2 * time.Second))
		if _, err := conn.Write(record); err != nil {
			t.Logf("after %d key updates: %v", sent, err)
			break
		}
		sent++
		if seq++; app {
			continue
		}
		secret, seq = expand(secret, "traffic upd", 32), 0
	}
	start := time.Now()
	cancel()
	select {
	case <-done:
		t.Logf("Serve returned after %v", time.Since(start))
	case <-time.After(8 * time.Second):
		busy := make(chan bool, 1)
		go func() { srv.Busy(nil); busy <- true }()
		select {
		case <-busy:
		case <-time.After(2 * time.Second):
			t.Error("Busy does not return either")
		}
		t.Error("Serve does not return")
	}
}
