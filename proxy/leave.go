package proxy

import "midflight/proxy/wire"

// leave ends the server's side politely, behind its greeting, when the client
// won't log in: a bare close would count towards max_connect_errors and in the
// end block our address. Health checks do this every second. It returns cause.
func (h *handshake) leave(cause error) error {
	if h.server.next == 0 {
		return cause
	}
	h.auth.client, h.auth.server = linkTCP, linkTCP
	if h.server.write(wire.AppendEmptyResponse(nil, h.greeting.Caps)) != nil {
		return cause
	}
	last, _ := relayAuth(nobody{}, &h.server, h.auth)
	if len(last) > 0 && last[0] == 0x00 {
		h.quit()
	}
	return cause
}

// quit ends a session that the server has opened for nobody.
func (h *handshake) quit() {
	h.server.next = 0
	h.server.write([]byte{wire.ComQuit})
}

// nobody is a client that has left.
type nobody struct{}

func (nobody) read() ([]byte, error) { return nil, errClientLeft }
func (nobody) write([]byte) error    { return errClientLeft }
