package proxyproto_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/iotest"

	"midflight/proxy/proxyproto"
)

const sig = "\r\n\r\n\x00\r\nQUIT\n"

func TestRead(t *testing.T) {
	v4 := "\x0a\x00\x00\x01\x0a\x00\x00\x02\x30\x39\x0c\xea"
	v6 := strings.Repeat("\x20\x01", 8) + strings.Repeat("\xfd\x00", 8) + "\x30\x39\x0c\xea"
	socket := "/run/a.sock" + strings.Repeat("\x00", 97) + strings.Repeat("\x00", 108)
	for _, c := range []struct{ in, source, dest string }{
		{"PROXY TCP4 10.0.0.1 10.0.0.2 12345 3306\r\n", "10.0.0.1:12345", "10.0.0.2:3306"},
		{"PROXY TCP6 2001::1 fd00::2 65535 0\r\n", "[2001::1]:65535", "[fd00::2]:0"},
		{"PROXY UNKNOWN\r\n", "", ""},
		{"PROXY UNKNOWN anything goes here\r\n", "", ""},
		{sig + "\x21\x11\x00\x0c" + v4, "10.0.0.1:12345", "10.0.0.2:3306"},
		{sig + "\x21\x12\x00\x0c" + v4, "10.0.0.1:12345", "10.0.0.2:3306"},
		{sig + "\x21\x11\x00\x13" + v4 + "\x03\x00\x04CRC!", "10.0.0.1:12345", "10.0.0.2:3306"},
		{sig + "\x21\x21\x00\x24" + v6, "[2001:2001:2001:2001:2001:2001:2001:2001]:12345", "[fd00:fd00:fd00:fd00:fd00:fd00:fd00:fd00]:3306"},
		{sig + "\x21\x31\x00\xd8" + socket, "/run/a.sock", ""},
		{sig + "\x20\x00\x00\x00", "", ""},
		{sig + "\x20\x11\x00\x0c" + v4, "", ""},
		{sig + "\x21\x00\x00\x03abc", "", ""},
	} {
		r := strings.NewReader(c.in + "rest")
		h, err := proxyproto.Read(iotest.OneByteReader(r))
		if err != nil {
			t.Errorf("%q: %v", c.in, err)
			continue
		}
		if got := text(h.Source); got != c.source {
			t.Errorf("%q: source %s, want %s", c.in, got, c.source)
		}
		if got := text(h.Dest); got != c.dest {
			t.Errorf("%q: dest %s, want %s", c.in, got, c.dest)
		}
		if rest, _ := io.ReadAll(r); string(rest) != "rest" {
			t.Errorf("%q: leaves %q", c.in, rest)
		}
	}
}

func text(a net.Addr) string {
	if a == nil {
		return ""
	}
	return a.String()
}

func TestRefused(t *testing.T) {
	for _, in := range []string{
		"GET / HTTP/1.1\r\n\r\n",
		"PROXY TCP5 10.0.0.1 10.0.0.2 1 2\r\n",
		"PROXY TCP4 2001::1 10.0.0.2 1 2\r\n",
		"PROXY TCP6 10.0.0.1 10.0.0.2 1 2\r\n",
		"PROXY TCP4 10.0.0.1 10.0.0.2 1 65536\r\n",
		"PROXY TCP4 10.0.0.1 10.0.0.2 -1 2\r\n",
		"PROXY TCP4 10.0.0.1 10.0.0.2 1\r\n",
		"PROXY TCP4 10.0.0.1  10.0.0.2 1 2\r\n",
		"PROXY TCP4 10.0.0.1 10.0.0.2 1 2\n",
		"PROXY UNKNOWN" + strings.Repeat("x", 100) + "\r\n",
		sig + "\x31\x11\x00\x0c",
		sig + "\x22\x11\x00\x0c",
		sig + "\x21\x11\x00\x0bxxxxxxxxxxx",
		sig + "\x21\x21\x00\x0cxxxxxxxxxxxx",
		sig + "\x21\x31\x00\x0cxxxxxxxxxxxx",
		sig + "\x21\x41\x00\x0cxxxxxxxxxxxx",
		sig + "\x21\x11\xff\xff",
	} {
		if h, err := proxyproto.Read(strings.NewReader(in)); !errors.Is(err, proxyproto.ErrMalformed) {
			t.Errorf("%q: %v, %v", in, h, err)
		}
	}
	for _, in := range []string{"", "PROXY", "PROXY TCP4 10.0.0.1", sig, sig + "\x21\x11\x00\x0cxx"} {
		if _, err := proxyproto.Read(strings.NewReader(in)); !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%q: %v", in, err)
		}
	}
}

func TestWrite(t *testing.T) {
	tcp := func(s string) net.Addr {
		a, err := net.ResolveTCPAddr("tcp", s)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	for _, c := range []struct{ h, want proxyproto.Header }{
		{proxyproto.Header{tcp("10.0.0.1:1"), tcp("10.0.0.2:2")}, proxyproto.Header{tcp("10.0.0.1:1"), tcp("10.0.0.2:2")}},
		{proxyproto.Header{tcp("[::ffff:10.0.0.1]:1"), tcp("10.0.0.2:2")}, proxyproto.Header{tcp("10.0.0.1:1"), tcp("10.0.0.2:2")}},
		{proxyproto.Header{tcp("[fd00::1]:1"), tcp("[fd00::2]:2")}, proxyproto.Header{tcp("[fd00::1]:1"), tcp("[fd00::2]:2")}},
		{proxyproto.Header{tcp("[fd00::1]:1"), tcp("10.0.0.2:2")}, proxyproto.Header{tcp("[fd00::1]:1"), tcp("10.0.0.2:2")}},
		{proxyproto.Header{&net.UnixAddr{Name: "/a"}, &net.UnixAddr{Name: "/b"}}, proxyproto.Header{}},
		{proxyproto.Header{}, proxyproto.Header{}},
	} {
		for version, b := range map[int][]byte{1: c.h.AppendV1(nil), 2: c.h.AppendV2(nil)} {
			got, err := proxyproto.Read(bytes.NewReader(b))
			if err != nil || text(got.Source) != text(c.want.Source) {
				t.Errorf("version %d of %v: %v, %v (%q)", version, c.h, got, err, b)
			}
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte("PROXY TCP4 10.0.0.1 10.0.0.2 12345 3306\r\n"))
	f.Add([]byte(sig + "\x21\x11\x00\x0c\x0a\x00\x00\x01\x0a\x00\x00\x02\x30\x39\x0c\xea"))
	f.Fuzz(func(t *testing.T, in []byte) {
		h, err := proxyproto.Read(bytes.NewReader(in))
		if err != nil {
			return
		}
		for _, b := range [][]byte{h.AppendV1(nil), h.AppendV2(nil)} {
			again, err := proxyproto.Read(bytes.NewReader(b))
			if err != nil {
				t.Fatalf("%q became %q: %v", in, b, err)
			}
			if s, ok := h.Source.(*net.TCPAddr); ok && text(again.Source) != text(s) {
				t.Fatalf("%q became %v", in, again)
			}
		}
	})
}
