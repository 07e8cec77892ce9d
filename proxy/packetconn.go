package proxy

import (
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"midflight/proxy/wire"
)

// packetConn is one side of an authentication: whole packets, numbered on each
// side by itself.
type packetConn interface {
	// read reads the next packet.
	read() ([]byte, error)
	// write sends a packet, which may be empty, with the number that comes next.
	write(payload []byte) error
}

// relayAuth relays the plugins' conversation until the server has ended it, and
// returns the server's OK or ERR, which the client has. The error is a
// *handshakeError. A client that leaves is deputized for, so that the server
// sees a failed login and not a broken connection.
func relayAuth(client, server packetConn, a *authRelay) (last []byte, err error) {
	turn := authTurn{from: fromServer}
	var gone error // why the client can't be spoken to
	for {
		var p []byte
		if turn.from == fromServer {
			if p, err = server.read(); err != nil {
				return nil, failed(ReasonServerFailed, "authenticate", err)
			}
			last = p
			turn, err = a.fromServer(p)
		} else {
			if gone == nil {
				if p, err = client.read(); err != nil {
					gone = clientFailed("authenticate", err)
				}
			}
			if gone != nil {
				turn, err = a.fromNobody(), nil
			} else {
				turn, err = a.fromClient(p)
			}
		}
		if err != nil {
			return nil, failed(ReasonServerFailed, "authenticate", err)
		}
		if turn.toServer != nil {
			if err := server.write(turn.toServer); err != nil {
				return nil, failed(ReasonServerFailed, "authenticate", err)
			}
		}
		if turn.toClient != nil && gone == nil {
			if err := client.write(turn.toClient); err != nil {
				gone = clientFailed("authenticate", err)
			}
		}
		if turn.from == nowhere {
			return last, gone
		}
	}
}

// An endpoint is a side of the handshake: a connection whose packets are read
// one by one, with nothing read ahead, since TLS may begin behind any.
type endpoint struct {
	net.Conn
	place  *guest        // a client's in the lobby, or nil
	next   byte          // the number of the next packet, in either direction
	strict bool          // what comes must have that number
	bound  time.Duration // for each packet
	until  time.Time     // for all of them; zero: no bound
}

// errOutOfOrder: a packet has not the number that comes next. A server closes on
// that too, and it tells other protocols from this one.
var errOutOfOrder = errors.New("packets out of order")

// errTooLong: anybody may send a packet before he has logged in, so none may be
// long (TiProxy #1090).
var errTooLong = fmt.Errorf("longer than %d bytes before the login", handshakeLimit)

// readPacket reads one packet and not a byte more. Its memory grows with what
// has come, and not with what the header promises; what the header shows to be
// wrong is not waited for.
func (e *endpoint) readPacket() (payload []byte, seq byte, err error) {
	var h [wire.HeaderLen]byte
	if _, err := io.ReadFull(e.Conn, h[:]); err != nil {
		return nil, 0, err
	}
	n, seq := wire.ParseHeader(h[:])
	switch {
	case n > handshakeLimit:
		return nil, seq, errTooLong
	case e.strict && seq != e.next:
		return nil, seq, fmt.Errorf("%w: number %d, want %d", errOutOfOrder, seq, e.next)
	}
	payload, err = io.ReadAll(io.LimitReader(e.Conn, int64(n)))
	if err == nil && len(payload) < n {
		err = io.ErrUnexpectedEOF
	}
	return payload, seq, err
}

func (e *endpoint) deadline() time.Time {
	d := time.Now().Add(e.bound)
	if !e.until.IsZero() && e.until.Before(d) {
		d = e.until
	}
	return d
}

func (e *endpoint) read() ([]byte, error) {
	if err := e.place.await(e.Conn, e.deadline()); err != nil {
		return nil, err
	}
	p, seq, err := e.readPacket()
	if err = e.place.heard(err); err != nil {
		return nil, err
	}
	e.next = seq + 1
	return p, nil
}

func (e *endpoint) write(payload []byte) error {
	e.SetWriteDeadline(e.deadline())
	err := writePacket(e.Conn, payload, e.next)
	e.next++
	return err
}
