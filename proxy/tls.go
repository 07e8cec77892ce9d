package proxy

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"

	"midflight/proxy/wire"
)

// TLSMode says when the server's side is encrypted.
type TLSMode string

const (
	TLSMatch TLSMode = "match" // if and only if the client's is; also the zero value
	TLSOn    TLSMode = "on"
	TLSOff   TLSMode = "off"
)

// check tells whether a server with these capabilities will do.
func (m TLSMode) check(server wire.Caps) error {
	if m == TLSOn && server&wire.ClientSSL == 0 {
		return errors.New("the server has no TLS, which --server-tls on demands")
	}
	return nil
}

// offersTLS tells whether clients are offered TLS in front of such a server.
func (c *Config) offersTLS(server wire.Caps) bool {
	if c.TLS == nil {
		return false
	}
	match := c.ServerTLSMode != TLSOn && c.ServerTLSMode != TLSOff
	return !match || server&wire.ClientSSL != 0
}

// secureServer encrypts the server's side, if it is to be.
func (h *handshake) secureServer(answer []byte) error {
	switch h.cfg.ServerTLSMode {
	case TLSOff:
		return nil
	case TLSOn:
	default:
		if linkOf(h.client.Conn) != linkTLS {
			return nil
		}
	}
	request, err := wire.SSLRequest(answer)
	if err != nil {
		return h.leave(failed(ReasonMalformed, "handshake response", err))
	}
	if err := h.server.write(request); err != nil {
		return failed(ReasonServerFailed, "send TLS request", err)
	}
	server := tls.Client(h.server.Conn, h.serverTLS())
	server.SetDeadline(h.server.deadline())
	if err := server.Handshake(); err != nil {
		h.refuse(&wire.Err{Number: errSSLConnection, State: "HY000", Message: fmt.Sprintf("SSL connection error: %v", err)})
		return failed(ReasonServerTLS, "TLS with the server", err)
	}
	h.server.Conn = server
	if err := h.verifyServer(server.ConnectionState()); err != nil {
		h.refuse(&wire.Err{Number: errSSLConnection, State: "HY000", Message: withRemark("SSL connection error", err.Error()+" (--server-ca)")})
		return h.leave(failed(ReasonServerTLS, "TLS with the server", err))
	}
	return nil
}

func (h *handshake) serverTLS() *tls.Config {
	conf := &tls.Config{}
	if h.cfg.ServerTLS != nil {
		conf = h.cfg.ServerTLS.Clone()
	}
	// What is to be verified is verified behind the TLS handshake: one that is
	// broken off counts towards the server's max_connect_errors.
	conf.InsecureSkipVerify = true
	if conf.ServerName == "" && net.ParseIP(h.sni) == nil {
		conf.ServerName = h.sni
	}
	return conf
}

// verifyServer checks that the server's certificate comes from ServerCA. Like
// the mysql client with --ssl-ca it does not ask for a name in it: the
// certificates that servers make for themselves have none.
func (h *handshake) verifyServer(state tls.ConnectionState) error {
	if h.cfg.ServerCA == nil {
		return nil
	}
	if len(state.PeerCertificates) == 0 {
		return errors.New("the server has no certificate")
	}
	between := x509.NewCertPool()
	for _, c := range state.PeerCertificates[1:] {
		between.AddCert(c)
	}
	_, err := state.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: h.cfg.ServerCA(), Intermediates: between})
	return err
}
