package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"midflight/proxy/wire"
)

const (
	dialTimeout = 10 * time.Second
	// handshakeTimeout is for each packet of the handshake, like the server's
	// connect_timeout: a person may be typing a one-time password between two.
	handshakeTimeout = 10 * time.Second
)

// A handshake relays the greeting and the authentication. The scramble is the
// server's, so that whatever the client computes from its password is right,
// and nothing here knows a password.
type handshake struct {
	cfg    *Config
	client net.Conn
	server net.Conn

	greeting wire.Greeting
	response wire.Response
	session  wire.Session
	status   wire.Status

	// The next number of each side. They part where one side encrypts, or
	// converses, without the other.
	clientSeq, serverSeq byte
}

// handshakeError says whose fault it was.
type handshakeError struct {
	blame Blame
	err   error
}

func (e *handshakeError) Error() string { return e.err.Error() }
func (e *handshakeError) Unwrap() error { return e.err }

func blame(b Blame, doing string, err error) error {
	return &handshakeError{b, fmt.Errorf("%s: %w", doing, err)}
}

// errRefused says that the server answered with an ERR, which was relayed.
var errRefused = errors.New("the server refused the session")

// dialServer connects to the server, or tells the client, in the words of the
// client library, that it can't be reached.
func dialServer(ctx context.Context, cfg *Config, client net.Conn) (net.Conn, error) {
	d := net.Dialer{Timeout: dialTimeout}
	server, err := d.DialContext(ctx, network(cfg.Server), cfg.Server)
	if err != nil {
		e := wire.Err{Number: 2003, Message: fmt.Sprintf("Can't connect to MySQL server on '%s' (%v)", cfg.Server, err)}
		client.SetWriteDeadline(time.Now().Add(handshakeTimeout))
		writePacket(client, wire.AppendErr(nil, &e), 0)
		return nil, blame(BlameServer, "dial", err)
	}
	return newSocket(server), nil
}

// run relays until the server has said OK.
func (h *handshake) run() error {
	hello, err := h.fromServer()
	if err != nil {
		return blame(BlameServer, "read greeting", err)
	}
	if len(hello) > 0 && hello[0] == 0xff { // too many connections, host blocked …
		h.toClient(hello)
		return blame(BlameServer, "greeting", refusal(hello))
	}
	h.greeting, err = wire.ParseGreeting(hello)
	if err != nil {
		return blame(BlameServer, "greeting", err)
	}
	offer := h.greeting.Caps &^ wire.Compression
	if h.cfg.TLS == nil {
		offer &^= wire.ClientSSL
	}
	h.greeting.SetCaps(hello, offer)
	if err := h.toClient(hello); err != nil {
		return h.leave(blame(BlameClient, "send greeting", err))
	}
	answer, err := h.fromClient()
	if err != nil {
		return h.leave(blame(BlameClient, "read handshake response", err))
	}
	h.response, err = wire.ParseResponse(answer)
	if err == nil && h.response.SSLRequest {
		answer, err = h.startTLS(answer)
	}
	if err != nil {
		var he *handshakeError
		if errors.As(err, &he) && he.blame == BlameServer {
			return err
		}
		return h.leave(blame(BlameClient, "handshake response", err))
	}
	wire.ClearCaps(answer, wire.Compression)
	h.response.Caps &^= wire.Compression
	h.session = wire.Session{Caps: h.response.Caps & offer, Ext: h.response.Ext & h.greeting.Ext}
	if err := h.toServer(answer); err != nil {
		return blame(BlameServer, "send handshake response", err)
	}
	return h.authenticate()
}

// startTLS encrypts both sides, and reads the response proper.
func (h *handshake) startTLS(request []byte) ([]byte, error) {
	if h.greeting.Caps&wire.ClientSSL == 0 {
		e := wire.Err{Number: 1043, State: "08S01", Message: "Bad handshake"}
		h.toClient(wire.AppendErr(nil, &e))
		return nil, errors.New("the client wants TLS, which was not offered")
	}
	client := tls.Server(h.client, h.cfg.TLS)
	client.SetDeadline(time.Now().Add(handshakeTimeout))
	if err := client.Handshake(); err != nil {
		return nil, fmt.Errorf("TLS: %w", err)
	}
	client.SetDeadline(time.Time{})
	if err := h.toServer(request); err != nil {
		return nil, blame(BlameServer, "send TLS request", err)
	}
	conf := h.cfg.ServerTLS
	if conf == nil {
		conf = &tls.Config{InsecureSkipVerify: true}
	}
	if name := client.ConnectionState().ServerName; name != "" && conf.ServerName == "" {
		conf = conf.Clone()
		conf.ServerName = name
	}
	server := tls.Client(h.server, conf)
	server.SetDeadline(time.Now().Add(handshakeTimeout))
	if err := server.Handshake(); err != nil {
		return nil, blame(BlameServer, "TLS", err)
	}
	server.SetDeadline(time.Time{})
	h.client, h.server = client, server
	answer, err := h.fromClient()
	if err != nil {
		return nil, err
	}
	h.response, err = wire.ParseResponse(answer)
	return answer, err
}

// authenticate relays the plugins' conversation, whatever it is, until the
// server ends it.
func (h *handshake) authenticate() error {
	for {
		p, err := h.fromServer()
		if err != nil {
			return blame(BlameServer, "authenticate", err)
		}
		lost := h.toClient(p)
		switch {
		case len(p) == 0:
			return blame(BlameServer, "authenticate", wire.ErrMalformed)
		case lost != nil:
			return h.giveUp(p, blame(BlameClient, "authenticate", lost))
		case p[0] == 0x00:
			ok, _ := wire.ParseOK(p, h.session)
			h.status = ok.Status
			return nil
		case p[0] == 0xff:
			return blame(BlameClient, "authenticate", refusal(p))
		case len(p) == 2 && p[0] == 1 && p[1] == 3:
			// caching_sha2's "fast path done": the OK follows, and the client
			// has nothing to say before it.
			continue
		}
		answer, err := h.fromClient()
		if err != nil {
			return h.giveUp(p, blame(BlameClient, "authenticate", err))
		}
		if err := h.toServer(answer); err != nil {
			return blame(BlameServer, "authenticate", err)
		}
	}
}

// leave ends the server's side politely when the client has gone before it
// answered: a bare close would count towards max_connect_errors and in the end
// block our address. Health checks do this every second.
func (h *handshake) leave(cause error) error {
	h.serverSeq = max(h.serverSeq, 1)
	if h.toServer(wire.AppendEmptyResponse(nil, h.greeting.Caps)) != nil {
		return cause
	}
	p, err := h.fromServer()
	if err != nil {
		return cause
	}
	return h.giveUp(p, cause)
}

// giveUp goes on from the server's packet p, with no password, to the end.
func (h *handshake) giveUp(p []byte, cause error) error {
	for len(p) > 0 && p[0] != 0xff {
		if p[0] == 0x00 {
			h.serverSeq = 0
			h.toServer([]byte{wire.ComQuit})
			break
		}
		fast := len(p) == 2 && p[0] == 1 && p[1] == 3
		if !fast && h.toServer(nil) != nil {
			break
		}
		var err error
		if p, err = h.fromServer(); err != nil {
			break
		}
	}
	return cause
}

func refusal(p []byte) error {
	e, err := wire.ParseErr(p)
	if err != nil {
		return err
	}
	return fmt.Errorf("%w: %w", errRefused, e)
}

func (h *handshake) fromServer() ([]byte, error) {
	h.server.SetReadDeadline(time.Now().Add(handshakeTimeout))
	p, seq, err := readPacket(h.server)
	h.serverSeq = seq + 1
	return p, err
}

func (h *handshake) fromClient() ([]byte, error) {
	h.client.SetReadDeadline(time.Now().Add(handshakeTimeout))
	p, seq, err := readPacket(h.client)
	if err == nil {
		h.clientSeq = seq + 1
	} else if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return p, err
}

func (h *handshake) toServer(p []byte) error {
	h.server.SetWriteDeadline(time.Now().Add(handshakeTimeout))
	err := writePacket(h.server, p, h.serverSeq)
	h.serverSeq++
	return err
}

func (h *handshake) toClient(p []byte) error {
	h.client.SetWriteDeadline(time.Now().Add(handshakeTimeout))
	err := writePacket(h.client, p, h.clientSeq)
	h.clientSeq++
	return err
}
