package proxy

import (
	"crypto/tls"
	"net"
)

// A link is how one side's bytes travel, as far as authentication plugins care.
type link uint8

const (
	linkTCP link = iota
	linkSocket
	linkTLS
)

func linkOf(c net.Conn) link {
	switch bare(c).(type) {
	case *tls.Conn:
		return linkTLS
	case *net.UnixConn:
		return linkSocket
	}
	return linkTCP
}

// takesPassword tells whether a plugin sends the password itself over this link.
// To caching_sha2_password a unix socket is as good as TLS, to sha256_password,
// which is older, it is not; client libraries and servers agree on this.
func (l link) takesPassword(plugin string) bool {
	return l == linkTLS || l == linkSocket && plugin != sha256Password
}
