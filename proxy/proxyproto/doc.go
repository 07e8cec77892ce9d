// Package proxyproto reads and writes the header of the PROXY protocol, versions
// 1 and 2 (haproxy.org, doc/proxy-protocol.txt), by which a proxy tells whom it
// speaks for.
package proxyproto
