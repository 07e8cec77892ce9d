package proxyproto

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
)

// AppendV1 appends the header in version 1, which has only TCP's addresses.
func (h Header) AppendV1(b []byte) []byte {
	source, dest, ok := h.tcp()
	if !ok {
		return append(b, "PROXY UNKNOWN\r\n"...)
	}
	family := "TCP6"
	if source.Addr().Is4() {
		family = "TCP4"
	}
	return fmt.Appendf(b, "PROXY %s %s %s %d %d\r\n", family, source.Addr(), dest.Addr(), source.Port(), dest.Port())
}

// AppendV2 appends the header in version 2. A client on a socket is LOCAL: a
// server that is told of a socket it can't see would have no host to check.
func (h Header) AppendV2(b []byte) []byte {
	b = append(b, signature...)
	source, dest, ok := h.tcp()
	if !ok {
		return append(b, 0x20, 0x00, 0, 0)
	}
	family := byte(0x21)
	if source.Addr().Is4() {
		family = 0x11
	}
	s, d := source.Addr().AsSlice(), dest.Addr().AsSlice()
	b = append(b, 0x21, family, 0, byte(len(s)+len(d)+4))
	b = append(append(b, s...), d...)
	b = binary.BigEndian.AppendUint16(b, source.Port())
	return binary.BigEndian.AppendUint16(b, dest.Port())
}

// tcp is the addresses in one family.
func (h Header) tcp() (source, dest netip.AddrPort, ok bool) {
	s, ok1 := h.Source.(*net.TCPAddr)
	d, ok2 := h.Dest.(*net.TCPAddr)
	if !ok1 || !ok2 {
		return source, dest, false
	}
	source, dest = plain(s), plain(d)
	if source.Addr().Is4() != dest.Addr().Is4() {
		source, dest = mapped(source), mapped(dest)
	}
	return source, dest, source.IsValid() && dest.IsValid()
}

func plain(a *net.TCPAddr) netip.AddrPort {
	p := a.AddrPort()
	return netip.AddrPortFrom(p.Addr().Unmap().WithZone(""), p.Port())
}

func mapped(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom16(a.Addr().As16()), a.Port())
}
