package proxy

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"midflight/internal/testmysql"
	"midflight/proxy/wire"
)

var testKey = sync.OnceValues(newRSAKey)

// script is a side of a conversation: what it says, in order, and what it heard.
type script struct {
	says  [][]byte
	heard []string
}

func (s *script) read() ([]byte, error) {
	if len(s.says) == 0 {
		return nil, io.EOF
	}
	p := s.says[0]
	s.says = s.says[1:]
	return p, nil
}

func (s *script) write(p []byte) error {
	s.heard = append(s.heard, string(p))
	return nil
}

const salt20 = "abcdefghijklmnopqrst"

func swap(plugin string) []byte { return []byte("\xfe" + plugin + "\x00" + salt20 + "\x00") }

var (
	okPacket  = []byte{0, 0, 0, 2, 0, 0, 0}
	denied    = wire.AppendErr(nil, &wire.Err{Number: 1045, State: "28000", Message: "Access denied"})
	noMention = wire.AppendErr(nil, &wire.Err{Number: 1698, State: "28000", Message: "Access denied"})
)

func ours(t *testing.T) (*rsa.PrivateKey, []byte) {
	t.Helper()
	key, err := testKey()
	if err != nil {
		t.Fatal(err)
	}
	p, err := publicPEM(key)
	if err != nil {
		t.Fatal(err)
	}
	return key, append([]byte{1}, p...)
}

func TestAuthRelay(t *testing.T) {
	key, keyPacket := ours(t)
	cipher, err := encryptPassword([]byte("secret\x00"), []byte(salt20), keyPacket[1:])
	if err != nil {
		t.Fatal(err)
	}
	other, _ := rsa.GenerateKey(rand.Reader, 2048)
	foreign, _ := rsa.EncryptOAEP(sha1.New(), rand.Reader, &other.PublicKey, []byte("secret\x00"), nil)
	full, fast := []byte{1, 4}, []byte{1, 3}
	packets := func(p ...any) (all [][]byte) {
		for _, x := range p {
			switch x := x.(type) {
			case []byte:
				all = append(all, x)
			case string:
				all = append(all, []byte(x))
			}
		}
		return all
	}
	const some = "*" // any packet
	for _, c := range []struct {
		name                   string
		client, server         link
		clientSays, serverSays [][]byte
		toClient, toServer     [][]byte
	}{
		{"the fast path asks nothing", linkTLS, linkTCP,
			nil, packets(fast, okPacket), packets(fast, okPacket), nil},
		{"the password, encrypted for the server", linkTLS, linkTCP,
			packets("secret\x00"), packets(full, keyPacket, okPacket), packets(full, okPacket), packets("\x02", some)},
		{"a password longer than the key", linkTLS, linkTCP,
			packets(strings.Repeat("x", 300) + "\x00"), packets(full, keyPacket, denied), packets(full, some), packets("\x02", some)},
		{"the server has no key", linkTLS, linkTCP,
			packets("secret\x00"), packets(full, denied), packets(full, denied), packets("\x02")},
		{"the password, decrypted for the server", linkTCP, linkTLS,
			packets("\x02", cipher), packets(full, okPacket), packets(full, keyPacket, okPacket), packets("secret\x00")},
		{"a client that has our key already", linkTCP, linkSocket,
			packets(cipher), packets(full, okPacket), packets(full, okPacket), packets("secret\x00")},
		{"a client with another key", linkTCP, linkTLS,
			packets(foreign), packets(full, denied), packets(full, some), packets(some)},
		{"an empty password is no wish for a key", linkTCP, linkTLS,
			packets("\x00"), packets(full, denied), packets(full, denied), packets("\x00")},
		{"an empty password is not asked a key for", linkTLS, linkTCP,
			packets("\x00"), packets(full, denied), packets(full, denied), packets("\x00")},
		{"alike links: everything passes", linkTLS, linkSocket,
			packets("\x02"), packets(full, denied), packets(full, denied), packets("\x02")},
		{"sha256: a socket is no TLS", linkSocket, linkTLS,
			packets("\x01", cipher), packets(swap(sha256Password), okPacket), packets(swap(sha256Password), keyPacket, okPacket), packets("secret\x00")},
		{"sha256: a socket is TCP", linkSocket, linkTCP,
			packets("\x01", cipher), packets(swap(sha256Password), keyPacket, okPacket), packets(swap(sha256Password), keyPacket, okPacket), packets("\x01", cipher)},
		{"sha256: 02 is a password", linkTLS, linkTCP,
			packets("\x02\x00"), packets(swap(sha256Password), keyPacket, denied), packets(swap(sha256Password), denied), packets("\x01", some)},
		{"several plugins", linkTLS, linkTCP,
			packets(strings.Repeat("x", 64), strings.Repeat("y", 20), "secret\x00"),
			packets(swap(clientEd25519), swap(wire.NativePassword), swap(sha256Password), keyPacket, okPacket),
			packets(swap(clientEd25519), swap(wire.NativePassword), swap(sha256Password), okPacket),
			packets(strings.Repeat("x", 64), strings.Repeat("y", 20), "\x01", some)},
		{"a second factor", linkTLS, linkTCP,
			packets("secret\x00", "secret\x00"),
			packets(full, keyPacket, "\x02"+sha256Password+"\x00"+salt20+"\x00", keyPacket, okPacket),
			packets(full, "\x02"+sha256Password+"\x00"+salt20+"\x00", okPacket),
			packets("\x02", some, "\x01", some)},
		{"a conversation of empty packets", linkTLS, linkTCP,
			packets("", "b"), packets(swap("dialog"), "", okPacket), packets(swap("dialog"), "", okPacket), packets("", "b")},
		{"a scramble of a wrong length", linkTCP, linkTCP,
			packets("abc"), packets(swap(wire.NativePassword), denied),
			packets(swap(wire.NativePassword), wire.AppendErr(nil, &wire.Err{Number: 1043, State: "08S01", Message: "Bad handshake"})), packets(some)},
		{"the client leaves", linkTLS, linkTCP,
			nil, packets(full, denied), packets(full), packets(some)},
		{"the client leaves with our key", linkTCP, linkTLS,
			packets("\x02"), packets(full, denied), packets(full, keyPacket), packets(some)},
		{"the client leaves a signature", linkTCP, linkTCP,
			nil, packets(swap(clientEd25519), denied), packets(swap(clientEd25519)), packets(strings.Repeat("\x00", 64))},
		{"the peer's user", linkTCP, linkTCP, nil, packets(noMention), packets(some), nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			client, server := &script{says: c.clientSays}, &script{says: c.serverSays}
			a := &authRelay{client: c.client, server: c.server, plugin: cachingSHA2, salt: []byte(salt20), factors: true,
				key: func() (*rsa.PrivateKey, error) { return key, nil }}
			last, err := relayAuth(client, server, a)
			if leaves := strings.Contains(c.name, "leaves"); (err != nil) != leaves {
				t.Errorf("error %v", err)
			}
			if want := c.serverSays[len(c.serverSays)-1]; !bytes.Equal(last, want) {
				t.Errorf("the last packet is %q, want %q", last, want)
			}
			same := func(got string, want []byte) bool { return string(want) == some || got == string(want) }
			if !slices.EqualFunc(client.heard, c.toClient, same) {
				t.Errorf("the client hears %q, want %q", client.heard, c.toClient)
			}
			if !slices.EqualFunc(server.heard, c.toServer, same) {
				t.Errorf("the server hears %q, want %q", server.heard, c.toServer)
			}
			for _, p := range server.heard {
				if strings.Contains(p, "secret") && c.server == linkTCP {
					t.Errorf("a password in clear: %q", p)
				}
				if len(p) == 256 && c.client == linkTLS {
					if got, err := decryptPassword([]byte(p), []byte(salt20), key); err != nil || !strings.HasSuffix(string(got), "\x00") {
						t.Errorf("the server decrypts %q, %v", got, err)
					}
				}
			}
		})
	}
}

func TestRemarks(t *testing.T) {
	for _, c := range []struct {
		relay authRelay
		in    []byte
		want  string
	}{
		{authRelay{plugin: cachingSHA2}, denied, ""},
		{authRelay{plugin: cachingSHA2, remark: remarkPinnedKey}, denied, remarkPinnedKey},
		{authRelay{plugin: wire.NativePassword}, noMention, remarkSocket},
		{authRelay{plugin: "dialog"}, noMention, ""},
		{authRelay{}, []byte{0xff}, ""},
		{authRelay{}, []byte{0xff, 1, 2}, ""},
	} {
		got := c.relay.explain(c.in)
		if c.want == "" {
			if !bytes.Equal(got, c.in) {
				t.Errorf("%q becomes %q", c.in, got)
			}
			continue
		}
		if want := string(c.in) + "; Midflight: " + c.want; string(got) != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// Whatever the two say, nobody panics, every turn is taken by somebody, and no
// password goes to a server in clear.
func FuzzAuthRelay(f *testing.F) {
	f.Add([]byte("\x02\x01\x04\x07secret\x00"), byte(2), byte(0))
	f.Add(append([]byte{byte(len(swap(sha256Password)))}, swap(sha256Password)...), byte(0), byte(2))
	f.Fuzz(func(t *testing.T, in []byte, client, server byte) {
		a := &authRelay{client: link(client % 3), server: link(server % 3), key: testKey, plugin: cachingSHA2, factors: true}
		turn := authTurn{from: fromServer}
		for len(in) > 0 && turn.from != nowhere {
			n := min(int(in[0]), len(in)-1)
			p := in[1 : 1+n]
			in = in[1+n:]
			var err error
			if turn.from == fromServer {
				turn, err = a.fromServer(p)
			} else {
				asked := a.state == authWanted && a.client.takesPassword(a.plugin)
				turn, err = a.fromClient(p)
				if asked && len(p) > 1 && bytes.Contains(turn.toServer, p) {
					t.Fatalf("%q in clear", p)
				}
			}
			if err != nil {
				return
			}
			if turn.toClient == nil && turn.toServer == nil {
				t.Fatal("a turn without a packet")
			}
		}
	})
}

// sha2Scramble is what a caching_sha2 client sends of a password.
func sha2Scramble(password, salt []byte) []byte {
	one := sha256.Sum256(password)
	two := sha256.Sum256(one[:])
	three := sha256.Sum256(append(two[:], salt...))
	return mask(one[:], three[:])
}

// COM_CHANGE_USER holds the same conversation, with the salt of its own switch
// or of the login, and is translated alike.
func TestChangeUser(t *testing.T) {
	s := testmysql.Shared(t, testmysql.MySQL)
	s.Exec(t,
		"CREATE USER change_a@'%' IDENTIFIED WITH caching_sha2_password BY 'one'",
		"CREATE USER change_b@'%' IDENTIFIED WITH caching_sha2_password BY 'two'",
		"CREATE USER change_c@'%' IDENTIFIED WITH sha256_password BY 'three'")
	t.Cleanup(func() { s.Exec(t, "DROP USER change_a@'%', change_b@'%', change_c@'%'") })
	key, keyPacket := ours(t)
	for _, c := range []struct {
		name           string
		client, server link
	}{{"TLS to TCP", linkTLS, linkTCP}, {"TCP to socket", linkTCP, linkSocket}, {"alike", linkTCP, linkTCP}} {
		t.Run(c.name, func(t *testing.T) {
			conn, err := net.Dial(network(place(c.server, s.Addr, s.Socket)), place(c.server, s.Addr, s.Socket))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			server := &endpoint{Conn: conn, bound: 5 * time.Second}
			hello, err := server.read()
			if err != nil {
				t.Fatal(err)
			}
			g, _ := wire.ParseGreeting(hello)
			a := &authRelay{client: c.client, server: c.server, key: func() (*rsa.PrivateKey, error) { return key, nil }}
			if a.mixed() == (c.name == "alike") {
				t.Errorf("mixed is %t", a.mixed())
			}
			session := wire.Session{Caps: wire.ClientProtocol41 | wire.ClientSecureConnection | wire.ClientPluginAuth}
			p := &player{t: t, a: a, link: c.client, ourKey: keyPacket, salt: g.Salt}
			log := func(user, plugin, password string, packet func(auth []byte) []byte, begin func([]byte) []byte) {
				t.Helper()
				p.plugin, p.password = plugin, password
				s.Exec(t, "FLUSH PRIVILEGES")
				if err := server.write(begin(packet(p.first()))); err != nil {
					t.Fatal(err)
				}
				last, err := relayAuth(p, server, a)
				if err != nil || len(last) == 0 || last[0] != 0 {
					t.Fatalf("%s: %q, %v", user, last, err)
				}
				server.next = 0
				server.write(wire.AppendQuery(nil, "SELECT CURRENT_USER()", session))
				var all string
				for range 5 {
					row, err := server.read()
					if err != nil {
						t.Fatal(err)
					}
					all += string(row)
				}
				if !strings.Contains(all, user+"@%") {
					t.Errorf("%q, want %s", all, user)
				}
			}
			login := func(user, plugin, password string) {
				log(user, plugin, password,
					func(auth []byte) []byte { return response(0, user, plugin, auth) },
					func(b []byte) []byte {
						h, _ := wire.ParseResponse(b)
						return a.forLogin(b, h, g)
					})
			}
			change := func(user, plugin, password string) {
				server.next = 0
				log(user, plugin, password, func(auth []byte) []byte {
					b := append([]byte{wire.ComChangeUser}, user+"\x00"...)
					b = append(append(b, byte(len(auth))), auth...)
					return append(b, "\x00\x2d\x00"+plugin+"\x00"...)
				}, func(b []byte) []byte { return a.forChangeUser(b, session) })
			}
			login("change_a", cachingSHA2, "one")
			change("change_b", cachingSHA2, "two")
			change("change_a", cachingSHA2, "one")
			change("change_c", cachingSHA2, "three")
			change("change_c", sha256Password, "three")
			change("change_b", sha256Password, "two")
			change("change_b", cachingSHA2, "two")
		})
	}
}

// player is a client of the two plugins, as client libraries are.
type player struct {
	t                *testing.T
	a                *authRelay
	link             link
	plugin, password string
	salt, ourKey     []byte
	answers          [][]byte
}

func (p *player) first() []byte {
	if p.plugin == sha256Password {
		return p.whole()
	}
	return sha2Scramble([]byte(p.password), p.salt)
}

// whole is the password itself, or the wish for a key.
func (p *player) whole() []byte {
	switch {
	case p.link.takesPassword(p.plugin):
		return []byte(p.password + "\x00")
	case p.plugin == sha256Password:
		return []byte{1}
	}
	return []byte{2}
}

func (p *player) write(b []byte) error {
	switch {
	case b[0] == 0xfe:
		plugin, salt, _ := strings.Cut(string(b[1:]), "\x00")
		p.plugin, p.salt = plugin, []byte(salt)[:20]
		p.answers = append(p.answers, p.first())
	case b[0] == 1 && len(b) == 2 && b[1] == 4:
		p.answers = append(p.answers, p.whole())
	case b[0] == 1 && len(b) > 2:
		block, _ := pem.Decode(b[1:])
		if block == nil {
			return errors.New("no key")
		}
		if _, err := x509.ParsePKIXPublicKey(block.Bytes); err != nil {
			return err
		}
		cipher, err := encryptPassword([]byte(p.password+"\x00"), p.salt, b[1:])
		if err != nil {
			return err
		}
		p.answers = append(p.answers, cipher)
	case b[0] == 0xff:
		p.t.Errorf("%s", b)
	}
	return nil
}

func (p *player) read() ([]byte, error) {
	if len(p.answers) == 0 {
		return nil, fmt.Errorf("the player has nothing to say")
	}
	b := p.answers[0]
	p.answers = p.answers[1:]
	return b, nil
}
