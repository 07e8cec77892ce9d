package proxyproto

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

const (
	maxV1 = 107  // the specification's
	maxV2 = 4096 // of addresses and TLVs; ours, where the format allows 64 KiB
)

// Read reads a header and not a byte more.
func Read(r io.Reader) (Header, error) {
	b := make([]byte, len(signature), 256)
	if _, err := io.ReadFull(r, b); err != nil {
		return Header{}, fmt.Errorf("read the PROXY header: %w", err)
	}
	switch {
	case string(b) == signature:
		return readV2(r)
	case strings.HasPrefix(string(b), "PROXY "):
		return readV1(r, b)
	}
	return Header{}, malformed("neither version begins with %q", b)
}

func readV1(r io.Reader, b []byte) (Header, error) {
	for one := make([]byte, 1); b[len(b)-1] != '\n'; b = append(b, one[0]) {
		if len(b) == maxV1 {
			return Header{}, malformed("longer than %d bytes", maxV1)
		}
		if _, err := io.ReadFull(r, one); err != nil {
			return Header{}, fmt.Errorf("read the PROXY header: %w", err)
		}
	}
	line, ok := strings.CutSuffix(string(b), "\r\n")
	if !ok {
		return Header{}, malformed("%q", b)
	}
	f := strings.Split(line, " ")
	if f[1] == "UNKNOWN" {
		return Header{}, nil
	}
	if len(f) != 6 || f[1] != "TCP4" && f[1] != "TCP6" {
		return Header{}, malformed("%q", line)
	}
	source, err := addrV1(f[1], f[2], f[4])
	if err != nil {
		return Header{}, err
	}
	dest, err := addrV1(f[1], f[3], f[5])
	return Header{source, dest}, err
}

func addrV1(family, host, port string) (net.Addr, error) {
	ip, err := netip.ParseAddr(host)
	if err != nil || ip.Is4() != (family == "TCP4") || ip.Zone() != "" {
		return nil, malformed("%s address %q", family, host)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return nil, malformed("port %q", port)
	}
	return net.TCPAddrFromAddrPort(netip.AddrPortFrom(ip, uint16(n))), nil
}

func readV2(r io.Reader) (Header, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return Header{}, fmt.Errorf("read the PROXY header: %w", err)
	}
	length := int(binary.BigEndian.Uint16(head[2:]))
	if head[0]>>4 != 2 || head[0]&15 > 1 {
		return Header{}, malformed("version and command %#x", head[0])
	}
	if length > maxV2 {
		return Header{}, malformed("%d bytes", length)
	}
	b := make([]byte, length)
	if _, err := io.ReadFull(r, b); err != nil {
		return Header{}, fmt.Errorf("read the PROXY header: %w", err)
	}
	if head[0]&15 == 0 { // LOCAL: whatever the addresses say
		return Header{}, nil
	}
	// Behind the addresses are TLVs, of which we need none.
	switch family := head[1] >> 4; family {
	case 0:
		return Header{}, nil
	case 1, 2:
		return inet(b, map[byte]int{1: 4, 2: 16}[family])
	case 3:
		if len(b) < 2*108 {
			return Header{}, malformed("%d bytes of socket names", len(b))
		}
		return Header{unixAddr(b[:108]), unixAddr(b[108:216])}, nil
	}
	return Header{}, malformed("address family %#x", head[1])
}

func inet(b []byte, size int) (Header, error) {
	if len(b) < 2*size+4 {
		return Header{}, malformed("%d bytes of addresses", len(b))
	}
	addr := func(ip, port []byte) net.Addr {
		a, _ := netip.AddrFromSlice(ip)
		return net.TCPAddrFromAddrPort(netip.AddrPortFrom(a.Unmap(), binary.BigEndian.Uint16(port)))
	}
	return Header{addr(b[:size], b[2*size:]), addr(b[size:2*size], b[2*size+2:])}, nil
}

func unixAddr(b []byte) net.Addr {
	name, _, _ := strings.Cut(string(b), "\x00")
	return &net.UnixAddr{Net: "unix", Name: name}
}
