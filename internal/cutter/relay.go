// Package cutter stands between Midflight and the server in tests, reads what is sent,
// and cuts, withholds or delays it at a packet that the test chooses.
package cutter

import (
	"bytes"
	"io"
	"net"
	"sync"
	"testing"
)

// A Verdict is what becomes of a command and of the connection that it came on.
type Verdict int

const (
	Pass Verdict = iota
	// Cut closes both sides; the command doesn't reach the server.
	Cut
	// Lose closes Midflight's side; the command doesn't reach the server, whose side
	// stays open. The server doesn't know that nobody is there any more.
	Lose
	// Deafen lets the command through and closes Midflight's side at once. The server's
	// stays open.
	Deafen
	// Swallow does the same when the first of the answer has come.
	Swallow
)

func (v Verdict) String() string {
	return [...]string{"pass", "cut", "lose", "deafen", "swallow"}[v]
}

// A Command is one that Midflight, or a client through it, has sent.
type Command struct {
	Session int    // numbers the connections
	Code    byte   // COM_QUERY is 3
	Text    string // what follows the code
}

// A Packet is one of a login, a command, or what has come at once of an answer.
type Packet struct {
	Session int
	Answer  bool // it comes from the server
	Client  bool // its connection was opened for a client, with a database; Midflight's own have none
	Text    string
}

// A Relay carries connections to a server.
type Relay struct {
	Addr string

	l    net.Listener
	wait sync.WaitGroup

	mu     sync.Mutex // guards what follows
	server string
	judge  func(Command) Verdict
	all    func(Packet) bool
	gate   chan struct{} // nil: nothing is withheld
	open   map[net.Conn]bool
	last   int
}

// Start makes a relay to a server; it ends with the test.
func Start(t testing.TB, server string) *Relay {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &Relay{Addr: l.Addr().String(), server: server, l: l, open: map[net.Conn]bool{}}
	r.wait.Add(1)
	go r.accept()
	t.Cleanup(func() {
		l.Close()
		r.Judge(nil)
		r.CutAt(nil)
		r.Resume()
		r.closeAll()
		r.wait.Wait()
	})
	return r
}

// Judge has f asked for each command from now on, one at a time for each connection.
// While f doesn't return, its connection hangs. nil lets everything through.
func (r *Relay) Judge(f func(Command) Verdict) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.judge = f
}

// CutAt has f asked for each packet from now on, in both directions, one at a time for each
// connection and direction: true cuts the connection there.
func (r *Relay) CutAt(f func(Packet) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = f
}

func (r *Relay) cuts(p Packet) bool {
	r.mu.Lock()
	all := r.all
	r.mu.Unlock()
	return all != nil && all(p)
}

// Redirect has connections go to another server from now on; those that are open are
// closed.
func (r *Relay) Redirect(server string) {
	r.mu.Lock()
	r.server = server
	r.mu.Unlock()
	r.closeAll()
}

func (r *Relay) to() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.server
}

// Hang withholds everything in both directions until Resume; nothing is closed.
func (r *Relay) Hang() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.gate == nil {
		r.gate = make(chan struct{})
	}
}

// Resume ends a Hang.
func (r *Relay) Resume() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.gate != nil {
		close(r.gate)
		r.gate = nil
	}
}

func (r *Relay) awaitGate() {
	for {
		r.mu.Lock()
		gate := r.gate
		r.mu.Unlock()
		if gate == nil {
			return
		}
		<-gate
	}
}

func (r *Relay) decide(c Command) Verdict {
	r.mu.Lock()
	judge := r.judge
	r.mu.Unlock()
	if judge == nil {
		return Pass
	}
	return judge(c)
}

func (r *Relay) closeAll() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for c := range r.open {
		c.Close()
	}
}

func (r *Relay) opened(c net.Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.open[c] = true
}

func (r *Relay) close(c net.Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c.Close()
	delete(r.open, c)
}

func (r *Relay) accept() {
	defer r.wait.Done()
	for {
		client, err := r.l.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", r.to())
		if err != nil {
			client.Close()
			continue
		}
		r.opened(client)
		r.opened(server)
		r.last++
		l := &link{r: r, session: r.last, client: client, server: server}
		r.wait.Add(2)
		go l.up()
		go l.down()
	}
}

// A link is one connection of Midflight's and the server's that belongs to it.
type link struct {
	r              *Relay
	session        int
	client, server net.Conn

	mu    sync.Mutex
	state Verdict // Pass, Lose: half dead, Swallow: so with the next answer
	db    bool    // the login names a database
}

// packet is what CutAt's function is asked about.
func (l *link) packet(answer bool, text []byte) Packet {
	l.mu.Lock()
	defer l.mu.Unlock()
	return Packet{l.session, answer, l.db, string(text)}
}

// login looks at the first packet of a connection.
func (l *link) login(packet []byte) {
	const connectWithDB = 0x08
	l.mu.Lock()
	defer l.mu.Unlock()
	l.db = len(packet) > 4 && packet[4]&connectWithDB != 0
}

func (l *link) set(v Verdict) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.state = v
}

func (l *link) is() Verdict {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.state
}

// up carries what is sent to the server, packet by packet.
func (l *link) up() {
	defer l.r.wait.Done()
	for first := true; ; first = false {
		packet, err := readPacket(l.client)
		if err != nil {
			l.r.close(l.client)
			if l.is() == Pass {
				l.r.close(l.server)
			}
			return
		}
		if first {
			l.login(packet)
		}
		verdict := Pass
		if l.r.cuts(l.packet(false, packet[4:])) {
			verdict = Cut
		} else if packet[3] == 0 && len(packet) > 4 { // a login's packets have other numbers
			verdict = l.r.decide(Command{l.session, packet[4], string(packet[5:])})
		}
		switch verdict {
		case Cut:
			l.r.close(l.server)
			l.r.close(l.client)
			return
		case Lose:
			l.set(Lose)
			l.r.close(l.client)
			return
		case Deafen:
			l.set(Lose)
		case Swallow:
			l.set(Swallow)
		}
		l.r.awaitGate()
		if _, err := l.server.Write(packet); err != nil {
			l.r.close(l.client)
			l.r.close(l.server)
			return
		}
		if verdict == Deafen {
			l.r.close(l.client)
			return
		}
	}
}

// down carries the answers. The server's side of a half-dead connection is read on,
// or the server would notice.
func (l *link) down() {
	defer l.r.wait.Done()
	buf := make([]byte, 1<<16)
	for first := true; ; first = false {
		n, err := l.server.Read(buf)
		if err != nil {
			l.r.close(l.server)
			l.r.close(l.client)
			return
		}
		l.r.awaitGate()
		if l.is() == Pass && l.r.cuts(l.packet(true, nil)) {
			l.r.close(l.server)
			l.r.close(l.client)
			return
		}
		switch l.is() {
		case Swallow:
			l.set(Lose)
			l.r.close(l.client)
			continue
		case Lose:
			continue
		}
		if first {
			plain(buf[:n])
		}
		if _, err := l.client.Write(buf[:n]); err != nil && l.is() == Pass {
			l.r.close(l.client)
			l.r.close(l.server)
			return
		}
	}
}

func readPacket(c net.Conn) ([]byte, error) {
	packet := make([]byte, 4)
	if _, err := io.ReadFull(c, packet); err != nil {
		return nil, err
	}
	n := int(packet[0]) | int(packet[1])<<8 | int(packet[2])<<16
	packet = append(packet, make([]byte, n)...)
	_, err := io.ReadFull(c, packet[4:])
	return packet, err
}

// plain takes CLIENT_SSL off a server's greeting: what is encrypted can't be read.
func plain(greeting []byte) {
	const header, thread, salt = 5, 4, 9
	if version := bytes.IndexByte(greeting[min(header, len(greeting)):], 0); version >= 0 {
		if high := header + version + 1 + thread + salt + 1; high < len(greeting) {
			greeting[high] &^= 0x08
		}
	}
}
