package proxy

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"midflight/proxy/proxyproto"
	"midflight/proxy/wire"
)

// ProxyHeader is the version of the PROXY header that is sent to the server.
type ProxyHeader string

const (
	ProxyHeaderOff ProxyHeader = "off" // also the zero value
	ProxyHeaderV1  ProxyHeader = "v1"
	ProxyHeaderV2  ProxyHeader = "v2"
)

// An origin is who has connected to whom: as the socket says, or as a proxy
// before us says.
type origin struct{ source, dest net.Addr }

// headerTimeout: a proxy sends its header at once, with the connection.
const headerTimeout = 5 * time.Second

// readHeader reads the PROXY header of a client that has to send one. From the
// networks that are trusted one must come: whether a connection has one is not
// to be guessed from its bytes.
func (h *handshake) readHeader() error {
	if !h.cfg.trusts(h.client.RemoteAddr()) {
		return nil
	}
	var header proxyproto.Header
	err := h.client.place.await(h.client.Conn, time.Now().Add(headerTimeout))
	if err == nil {
		header, err = proxyproto.Read(h.client.Conn)
		err = h.client.place.heard(err)
	}
	if errors.Is(err, errEvicted) {
		h.explain(err)
		return failed(ReasonLimit, "PROXY header", err)
	}
	if err != nil {
		h.refuse(&wire.Err{Number: errHandshake,
			Message: withRemark("Bad handshake", "a PROXY header is expected from this address (--proxy-protocol-networks)")})
		return failed(ReasonProxyProtocol, "PROXY header", err)
	}
	if header.Source != nil {
		h.origin = origin{header.Source, header.Dest}
	}
	return nil
}

// trusts tells whether a PROXY header from this address is believed, and
// expected.
func (c *Config) trusts(a net.Addr) bool {
	t, ok := a.(*net.TCPAddr)
	if !ok {
		return false
	}
	ip := t.AddrPort().Addr().Unmap().WithZone("")
	return contains(c.ProxyNetworks, ip)
}

func contains(networks []netip.Prefix, ip netip.Addr) bool {
	for _, n := range networks {
		if n.Contains(ip) {
			return true
		}
	}
	return false
}

// sendHeader tells the server whom we speak for.
func (h *handshake) sendHeader() error {
	header := proxyproto.Header{Source: h.origin.source, Dest: h.origin.dest}
	var b []byte
	switch h.cfg.ServerProxyHeader {
	case ProxyHeaderV1:
		b = header.AppendV1(nil)
	case ProxyHeaderV2:
		b = header.AppendV2(nil)
	default:
		return nil
	}
	h.server.SetWriteDeadline(h.server.deadline())
	if _, err := h.server.Write(b); err != nil {
		return fmt.Errorf("send the PROXY header: %w", err)
	}
	return nil
}
