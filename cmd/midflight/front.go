package main

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/netip"
	"os"
	"strings"

	"go.uber.org/zap"

	"midflight/proxy"
)

// front is how clients are met and the server is reached, as the flags say.
func (c *config) front(ctx context.Context, log logger) (proxy.Config, error) {
	p := proxy.Config{
		Server: c.Server, MaxConnections: c.MaxConnections, MaxUserConnections: c.MaxUserConnections, MaxHandshakes: c.MaxHandshakes,
		ServerTLSMode: proxy.TLSMode(c.ServerTLS), ServerProxyHeader: proxy.ProxyHeader(c.ServerProxyProtocol),
	}
	switch p.ServerTLSMode {
	case proxy.TLSMatch, proxy.TLSOn, proxy.TLSOff:
	default:
		return p, usageError{fmt.Errorf("--server-tls %s: want match, on or off", c.ServerTLS)}
	}
	switch p.ServerProxyHeader {
	case proxy.ProxyHeaderOff, proxy.ProxyHeaderV1, proxy.ProxyHeaderV2:
	default:
		return p, usageError{fmt.Errorf("--server-proxy-protocol %s: want off, v1 or v2", c.ServerProxyProtocol)}
	}
	if c.MaxConnections < 0 || c.MaxUserConnections < 0 {
		return p, usageError{fmt.Errorf("--max-connections and --max-user-connections: want 0 or more")}
	}
	if c.MaxHandshakes < 1 {
		return p, usageError{fmt.Errorf("--max-handshakes: want 1 or more")}
	}
	for _, pair := range [][4]string{{"--tls-cert", c.TLSCert, "--tls-key", c.TLSKey}, {"--server-cert", c.ServerCert, "--server-key", c.ServerKey}} {
		if (pair[1] == "") != (pair[3] == "") {
			return p, usageError{fmt.Errorf("%s and %s go together", pair[0], pair[2])}
		}
	}
	if c.TLSClientCA != "" && c.TLSCert == "" {
		return p, usageError{fmt.Errorf("--tls-client-ca needs --tls-cert and --tls-key")}
	}
	var err error
	if p.ProxyNetworks, err = networks(c.ProxyProtocolNetworks); err != nil {
		return p, err
	}
	complain := func(err error) {
		log.Error("the new certificate can't be used, the one before stays", zap.Error(err))
	}
	if c.TLSCert != "" {
		cert, err := newCertificate(c.TLSCert, c.TLSKey, c.TLSClientCA, complain)
		if err != nil {
			return p, err
		}
		cert.refreshOnSIGHUP(ctx)
		p.TLS, p.RequireTLS = cert.config(), c.TLSClientCA != ""
	}
	if c.ServerCert != "" || c.ServerCA != "" {
		cert, err := newServerCertificate(c.ServerCert, c.ServerKey, c.ServerCA, complain)
		if err != nil {
			return p, err
		}
		cert.refreshOnSIGHUP(ctx)
		if c.ServerCA != "" {
			p.ServerCA = cert.authorities
		}
		if c.ServerCert != "" {
			p.ServerTLS = cert.clientConfig()
		}
	}
	if c.ServerPrivateKey != "" {
		if p.PrivateKey, err = readRSAKey(c.ServerPrivateKey); err != nil {
			return p, fmt.Errorf("read --server-private-key: %w", err)
		}
	}
	return p, nil
}

// networks reads CIDRs with commas between; an address is a network of one.
func networks(list string) ([]netip.Prefix, error) {
	var all []netip.Prefix
	for text := range strings.SplitSeq(list, ",") {
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		n, err := netip.ParsePrefix(text)
		if err != nil {
			ip, e := netip.ParseAddr(text)
			if e != nil {
				return nil, usageError{fmt.Errorf("--proxy-protocol-networks: %w", err)}
			}
			n = netip.PrefixFrom(ip, ip.BitLen())
		}
		all = append(all, n.Masked())
	}
	return all, nil
}

func readRSAKey(file string) (*rsa.PrivateKey, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(b)
	if block == nil {
		return nil, fmt.Errorf("%s is not PEM", file)
	}
	if key, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return key, nil
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	key, ok := parsed.(*rsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%s has a %T, want an RSA key", file, parsed)
	}
	return key, nil
}
