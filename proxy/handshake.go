package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"midflight/proxy/wire"
)

const (
	dialTimeout = 10 * time.Second
	// clientTimeout is for each packet of the client's handshake: a person may
	// be typing a one-time password between two. It is shorter than the server's
	// own bound, connect_timeout (10 s): were the server the first to lose its
	// patience, it would count that towards max_connect_errors, and block us.
	clientTimeout = 8 * time.Second
	// handshakeTimeout is for all of them, so that nobody occupies a connection
	// of the server's with one packet every now and then.
	handshakeTimeout = 60 * time.Second
	// serverTimeout is for each of the server's: it may be busy.
	serverTimeout = 30 * time.Second
)

// A handshake relays the greeting and the authentication. The scramble is the
// server's, so that whatever the client computes from its password is right,
// and nothing here knows a password, except in passing (authRelay).
type handshake struct {
	cfg    *Config
	client endpoint
	server endpoint
	origin origin
	enter  func(user string) bool // may he have one more session

	greeting wire.Greeting
	response wire.Response
	session  wire.Session
	status   wire.Status

	algorithm wire.Algorithm // that the two ends will compress with
	auth      *authRelay
	sni       string // the name that the client has asked for
}

func newHandshake(srv *Server, client net.Conn, place *guest, enter func(string) bool) *handshake {
	return &handshake{
		cfg: &srv.cfg, enter: enter,
		client: endpoint{Conn: client, place: place, strict: true, bound: clientTimeout, until: time.Now().Add(handshakeTimeout)},
		server: endpoint{bound: serverTimeout},
		origin: origin{source: client.RemoteAddr(), dest: client.LocalAddr()},
		auth:   &authRelay{key: srv.key},
	}
}

// dial connects to the server, or tells the client, in the words of the client
// library, that it can't be reached.
func (h *handshake) dial(ctx context.Context) error {
	d := net.Dialer{Timeout: dialTimeout}
	server, err := d.DialContext(ctx, network(h.cfg.Server), h.cfg.Server)
	if err == nil {
		h.server.Conn = newSocket(server)
		if err = h.sendHeader(); err != nil {
			server.Close()
		}
	}
	if err != nil {
		h.refuse(&wire.Err{Number: 2003, Message: fmt.Sprintf("Can't connect to MySQL server on '%s' (%v)", h.cfg.Server, err)})
		if errors.Is(err, context.Canceled) {
			return failed(ReasonShutdown, "dial", err)
		}
		return failed(ReasonServerUnreachable, "dial", err)
	}
	return nil
}

// run relays until the server has said OK.
func (h *handshake) run() error {
	if err := h.greet(); err != nil {
		return err
	}
	answer, err := h.answer()
	if err != nil {
		return h.leave(err)
	}
	if err := h.admit(); err != nil {
		return h.leave(err)
	}
	if err := h.secureServer(answer); err != nil {
		return err
	}
	wire.SetSSL(answer, linkOf(h.server.Conn) == linkTLS)
	h.algorithm = wire.Agreed(h.response.Caps, h.greeting.Caps)
	h.session = wire.Session{Caps: h.response.Caps & h.greeting.Caps, Ext: h.response.Ext & h.greeting.Ext}
	h.auth.client, h.auth.server = linkOf(h.client.Conn), linkOf(h.server.Conn)
	answer = h.auth.forLogin(answer, h.response, h.greeting)
	if err := h.server.write(answer); err != nil {
		return failed(ReasonServerFailed, "send handshake response", err)
	}
	last, err := relayAuth(&h.client, &h.server, h.auth)
	accepted := len(last) > 0 && last[0] == 0x00
	switch {
	case err != nil:
		h.explain(err)
		if accepted { // an account without a password
			h.quit()
		}
		return err
	case !accepted:
		return refused("authenticate", last, true)
	}
	ok, _ := wire.ParseOK(last, h.session)
	h.status = ok.Status
	return nil
}

// greet passes the server's greeting on.
func (h *handshake) greet() error {
	hello, err := h.server.read()
	if err != nil {
		h.refuse(&wire.Err{Number: 2013, Message: "Lost connection to MySQL server at 'reading initial communication packet'"})
		return failed(ReasonServerFailed, "read greeting", err)
	}
	if len(hello) > 0 && hello[0] == 0xff { // too many connections, host blocked …
		h.client.write(hello)
		return refused("greeting", hello, false)
	}
	h.greeting, err = wire.ParseGreeting(hello)
	if err != nil {
		return failed(ReasonServerFailed, "greeting", err)
	}
	offer := h.greeting.Caps
	if err := h.cfg.ServerTLSMode.check(offer); err != nil {
		h.refuse(&wire.Err{Number: errSSLConnection, Message: "SSL connection error: " + err.Error()})
		return h.leave(failed(ReasonServerTLS, "greeting", err))
	}
	if h.cfg.offersTLS(offer) {
		offer |= wire.ClientSSL
	} else {
		offer &^= wire.ClientSSL
	}
	h.greeting.SetCaps(hello, offer)
	if err := h.client.write(hello); err != nil {
		return h.leave(clientFailed("send greeting", err))
	}
	return nil
}

// answer reads the client's response, over TLS if it wants that.
func (h *handshake) answer() ([]byte, error) {
	answer, err := h.readResponse()
	if err != nil || !h.response.SSLRequest {
		return answer, err
	}
	if h.greeting.Caps&wire.ClientSSL == 0 {
		h.refuse(&wire.Err{Number: errHandshake, State: "08S01", Message: "Bad handshake"})
		return nil, failed(ReasonClientTLS, "handshake response", errors.New("the client wants TLS, which was not offered"))
	}
	client := tls.Server(h.client.Conn, h.cfg.TLS)
	until := h.client.deadline()
	client.SetWriteDeadline(until)
	if err = h.client.place.await(client, until); err == nil {
		err = h.client.place.heard(client.Handshake())
	}
	if err != nil {
		if errors.Is(err, errEvicted) || errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, os.ErrDeadlineExceeded) {
			return nil, clientFailed("TLS", err)
		}
		return nil, failed(ReasonClientTLS, "TLS", err)
	}
	client.SetDeadline(time.Time{})
	h.client.Conn = client
	h.sni = client.ConnectionState().ServerName
	if answer, err = h.readResponse(); err == nil && h.response.SSLRequest {
		err = failed(ReasonMalformed, "handshake response", errors.New("TLS within TLS"))
	}
	return answer, err
}

func (h *handshake) readResponse() ([]byte, error) {
	answer, err := h.client.read()
	if err == nil {
		h.response, err = wire.ParseResponse(answer)
	}
	if err == nil && !h.response.SSLRequest {
		err = wire.CheckResponse(answer)
	}
	switch {
	case err == nil:
		return answer, nil
	case errors.Is(err, errOutOfOrder):
		h.refuse(&wire.Err{Number: errPacketsOutOfOrder, State: "08S01", Message: "Got packets out of order"})
	case errors.Is(err, errTooLong):
		h.refuse(&wire.Err{Number: errPacketTooLarge, State: "08S01", Message: "Got a packet bigger than 'max_allowed_packet' bytes"})
	case errors.Is(err, wire.ErrMalformed):
		h.refuse(&wire.Err{Number: errHandshake, State: "08S01", Message: "Bad handshake"})
	case errors.Is(err, io.EOF):
		err = io.ErrUnexpectedEOF
	default:
		h.explain(err)
	}
	return nil, clientFailed("read handshake response", err)
}

// admit tells whether a client that has said who it is may go on.
func (h *handshake) admit() error {
	if h.cfg.RequireTLS && linkOf(h.client.Conn) == linkTCP {
		h.refuse(&wire.Err{Number: 3159, State: "HY000",
			Message: "Connections using insecure transport are prohibited while --require_secure_transport=ON."})
		return failed(ReasonClientTLS, "handshake response", errors.New("the client doesn't use TLS"))
	}
	if err := h.mayUseSocket(); err != nil {
		return err
	}
	if !h.enter(h.response.User) {
		h.refuse(&wire.Err{Number: 1203, State: "42000",
			Message: fmt.Sprintf("User %s already has more than 'max_user_connections' active connections", h.response.User)})
		return failed(ReasonLimit, "handshake response", fmt.Errorf("user %q has %d sessions", h.response.User, h.cfg.MaxUserConnections))
	}
	return nil
}

// explain tells a client why it isn't waited for any longer, if that is the reason.
func (h *handshake) explain(err error) {
	e := wire.Err{Number: errReadInterrupted, State: "08S01", Message: "Got timeout reading communication packets"}
	switch {
	case errors.Is(err, errEvicted):
		e = wire.Err{Number: errTooManyConnections, State: "08004", Message: "Too many connections"}
	case !errors.Is(err, os.ErrDeadlineExceeded):
		return
	}
	if h.server.Conn == nil {
		e.State = "" // no greeting yet
	}
	h.refuse(&e)
}

// refuse is our own ERR to the client, which need not be there any more.
func (h *handshake) refuse(e *wire.Err) { h.client.write(wire.AppendErr(nil, e)) }

// The numbers of what clients are told here.
const (
	errTooManyConnections = 1040 // ER_CON_COUNT_ERROR
	errHandshake          = 1043 // ER_HANDSHAKE_ERROR
	errPacketTooLarge     = 1153 // ER_NET_PACKET_TOO_LARGE
	errPacketsOutOfOrder  = 1156 // ER_NET_PACKETS_OUT_OF_ORDER
	errReadInterrupted    = 1159 // ER_NET_READ_INTERRUPTED
	errSSLConnection      = 2026 // CR_SSL_CONNECTION_ERROR
)
