package proxy

import (
	"errors"
	"net"
	"time"

	"midflight/proxy/wire"
)

var errClientLeft = errors.New("the client has left")

// enter counts one more session of a user's, unless he has enough of them.
func (s *Server) enter(ses *session, user string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cfg.MaxUserConnections > 0 && s.users[user] >= s.cfg.MaxUserConnections {
		return false
	}
	s.users[user]++
	ses.countedAs = &user
	return true
}

// becomes is told when COM_CHANGE_USER has succeeded. The new user may have more
// sessions than the limit: the server has let him in. s.mu is held.
func (ses *session) becomes(user string) {
	ses.user = user
	s := ses.srv
	s.mu.Lock()
	defer s.mu.Unlock()
	s.departLocked(ses)
	s.users[user]++
	ses.countedAs = &user
}

// departLocked takes a session out of the counts. s.mu is held.
func (s *Server) departLocked(ses *session) {
	if ses.countedAs == nil {
		return
	}
	if s.users[*ses.countedAs]--; s.users[*ses.countedAs] == 0 {
		delete(s.users, *ses.countedAs)
	}
	ses.countedAs = nil
}

// turnAway answers a client for whom there is no place, as a server does: before
// any greeting, and so without an SQL state.
func (s *Server) turnAway(client net.Conn, place *guest) {
	defer client.Close()
	s.cfg.Observe(HandshakeFailed{
		Client: client.RemoteAddr().String(), Blame: ReasonLimit.Blame(), Reason: ReasonLimit,
		Err: errTooMany,
	})
	until := time.Now().Add(goodbyeTime)
	client.SetWriteDeadline(until)
	if writePacket(client, wire.AppendErr(nil, &wire.Err{Number: errTooManyConnections, Message: "Too many connections"}), 0) != nil {
		return
	}
	// What it has sent, a PROXY header for one, must be read: closing on unread
	// bytes resets the connection, and takes the answer along.
	closeWrite(client)
	var b [512]byte
	for place.await(client, until) == nil {
		_, err := client.Read(b[:])
		if place.heard(err) != nil {
			return
		}
	}
}

var errTooMany = errors.New("there are --max-connections sessions already")
