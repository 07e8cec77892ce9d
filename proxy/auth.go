package proxy

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"

	"midflight/proxy/wire"
)

const (
	cachingSHA2    = "caching_sha2_password"
	sha256Password = "sha256_password"
	clientEd25519  = "client_ed25519" // MariaDB
	parsec         = "parsec"         // MariaDB

	ed25519Len = 64      // a signature
	parsecLen  = 32 + 64 // the client's nonce and a signature; first comes an empty packet
)

// An authRelay decides what becomes of each packet of the plugins' conversation,
// at login and after COM_CHANGE_USER. It does no I/O.
//
// Packets are passed on as they are, whatever the plugin, with one exception:
// where one link takes a password in clear and the other doesn't, the full
// authentication of caching_sha2_password and of sha256_password speaks
// differently on the two, and is translated. That happens between the server's
// wish for the password and its verdict; the client's answer to the wish is
//
//	client's link  server's link  from the client         to the server
//	secure         TCP            the password            key request, then the encrypted password
//	TCP            secure         key request, our key is the password
//	                              answered; the encrypted
//	                              password
//
// and an empty password, which is one zero byte on any link.
type authRelay struct {
	client, server link
	key            func() (*rsa.PrivateKey, error) // ours
	factors        bool                            // MULTI_FACTOR was agreed on

	plugin   string // of the current factor
	salt     []byte // what passwords are masked with
	state    authState
	password []byte // waits for the server's key
	remark   string // goes with the server's refusal
	bad      bool   // the client's last packet was none of its plugin's
	switched bool   // the server's last packet named the plugin
	full     bool   // the server's last packet asked for the password
}

type authState uint8

const (
	authPass      authState = iota // packets are passed on
	authWanted                     // the client's next packet is to be translated
	authServerKey                  // the server was asked for its key
	authCipher                     // the client has our key
	authDone
)

// An authTurn is what to do now: send, then read. nil is nothing to send, and
// not an empty packet.
type authTurn struct {
	toClient, toServer []byte
	from               authSide
}

type authSide uint8

const (
	nowhere authSide = iota // the conversation is over
	fromServer
	fromClient
)

// forLogin begins the relay behind a HandshakeResponse, which it may replace.
func (a *authRelay) forLogin(response []byte, h wire.Response, g wire.Greeting) []byte {
	a.factors = h.Caps&g.Caps&wire.ClientMultiFactor != 0
	a.plugin, a.salt = h.Plugin, g.Salt
	if a.plugin == sha256Password && a.translates() {
		return wire.WithoutAuth(response)
	}
	return response
}

// forChangeUser begins the relay behind a COM_CHANGE_USER, which it may replace.
// The links, and the salt of before, stay.
func (a *authRelay) forChangeUser(packet []byte, s wire.Session) []byte {
	a.factors = s.Caps&wire.ClientMultiFactor != 0
	a.plugin = wire.ParseChangeUser(packet, s).Plugin
	a.state, a.password, a.remark, a.bad = authPass, nil, "", false
	if a.plugin == sha256Password && a.translates() {
		// Its data is the password, or a wish for the key, already.
		return wire.ChangeUserWithoutAuth(packet, s)
	}
	return packet
}

// mixed tells whether anything may have to be translated on these links.
func (a *authRelay) mixed() bool {
	return a.client.takesPassword(cachingSHA2) != a.server.takesPassword(cachingSHA2) ||
		a.client.takesPassword(sha256Password) != a.server.takesPassword(sha256Password)
}

func (a *authRelay) translates() bool {
	return (a.plugin == cachingSHA2 || a.plugin == sha256Password) &&
		a.client.takesPassword(a.plugin) != a.server.takesPassword(a.plugin)
}

// keyRequest is how the plugin's client asks for the public key.
func (a *authRelay) keyRequest() []byte {
	if a.plugin == sha256Password {
		return []byte{1}
	}
	return []byte{2}
}

// fromServer takes the server's next packet.
func (a *authRelay) fromServer(p []byte) (authTurn, error) {
	if len(p) > 0 && (p[0] == 0x00 || p[0] == 0xff) {
		a.state = authDone
		if p[0] == 0xff {
			p = a.explain(p)
		}
		return authTurn{toClient: p}, nil
	}
	if a.state == authServerKey {
		return a.encrypt(p)
	}
	a.state, a.switched, a.full, a.bad = authPass, false, false, false
	switch {
	case len(p) == 2 && p[0] == 1 && p[1] == 3:
		// caching_sha2's "fast path done": the OK follows, and the client has
		// nothing to say before it.
		return authTurn{toClient: p, from: fromServer}, nil
	case len(p) == 2 && p[0] == 1 && p[1] == 4 && a.plugin == cachingSHA2:
		a.full = true
		a.want()
	case len(p) > 1 && (p[0] == 0xfe || p[0] == 0x02 && a.factors):
		plugin, salt, _ := bytes.Cut(p[1:], []byte{0})
		a.switched = true
		a.plugin, a.salt = string(plugin), bytes.TrimSuffix(bytes.Clone(salt), []byte{0})
		if a.plugin == sha256Password {
			a.want()
		}
	}
	if p == nil {
		p = []byte{}
	}
	return authTurn{toClient: p, from: fromClient}, nil
}

func (a *authRelay) want() {
	if a.translates() {
		a.state = authWanted
	}
}

// fromClient takes the client's next packet.
func (a *authRelay) fromClient(p []byte) (authTurn, error) {
	if p == nil {
		p = []byte{}
	}
	pass := authTurn{toServer: p, from: fromServer}
	state := a.state
	a.state = authPass
	switch {
	case !a.fits(p):
		a.bad = a.plugin == wire.NativePassword // of the others servers say "Access denied"
		return authTurn{toServer: a.decline(), from: fromServer}, nil
	case state != authWanted && state != authCipher:
		return pass, nil
	case state == authWanted && (len(p) == 0 || len(p) == 1 && p[0] == 0):
		return pass, nil // an empty password
	case state == authWanted && a.client.takesPassword(a.plugin):
		a.password, a.state = p, authServerKey
		return authTurn{toServer: a.keyRequest(), from: fromServer}, nil
	case state == authWanted && bytes.Equal(p, a.keyRequest()):
		key, err := a.key()
		if err != nil {
			return authTurn{}, err
		}
		pem, err := publicPEM(key)
		if err != nil {
			return authTurn{}, err
		}
		a.state = authCipher
		return authTurn{toClient: append([]byte{1}, pem...), from: fromClient}, nil
	}
	return a.decrypt(p)
}

// fromNobody is the turn of a client that has left.
func (a *authRelay) fromNobody() authTurn {
	p := a.decline()
	a.state = authPass
	return authTurn{toServer: p, from: fromServer}
}

// fits tells whether the client's packet has the length that its plugin's packets
// have. Others are not passed on: the server would take them for a broken
// handshake, and block our address after max_connect_errors of them.
func (a *authRelay) fits(p []byte) bool {
	switch a.plugin {
	case wire.NativePassword:
		return len(p) == 0 || len(p) == wire.NativeLen
	case clientEd25519:
		return len(p) == ed25519Len
	case parsec:
		return a.switched || len(p) == parsecLen
	case cachingSHA2:
		return len(p) > 0 || !a.full
	}
	return true
}

// decline is an answer that the server takes for a wrong password, and not for a
// broken handshake.
func (a *authRelay) decline() []byte {
	switch {
	case a.plugin == sha256Password, a.plugin == cachingSHA2 && (a.full || a.state == authCipher):
		// No packet is a broken handshake, and the empty password may be right.
		return []byte(rand.Text() + "\x00")
	case a.plugin == wire.NativePassword:
		scramble := make([]byte, wire.NativeLen)
		rand.Read(scramble)
		return scramble
	case a.plugin == clientEd25519:
		return make([]byte, ed25519Len)
	case a.plugin == parsec && !a.switched:
		return make([]byte, parsecLen)
	}
	return []byte{}
}

// encrypt answers the server's key.
func (a *authRelay) encrypt(p []byte) (authTurn, error) {
	password := a.password
	a.password, a.state = nil, authPass
	if len(p) < 1 || p[0] != 1 {
		return authTurn{}, wire.ErrMalformed
	}
	cipher, err := encryptPassword(password, a.salt, p[1:])
	if err != nil {
		a.remark, a.full = remarkNotEncrypted, true
		cipher = a.decline() // the server refuses it, in its own words
	}
	return authTurn{toServer: cipher, from: fromServer}, nil
}

// decrypt takes what the client has encrypted: with our key, or with the
// server's if it has been given that one beforehand.
func (a *authRelay) decrypt(p []byte) (authTurn, error) {
	key, err := a.key()
	if err != nil {
		return authTurn{}, err
	}
	password, err := decryptPassword(p, a.salt, key)
	if err != nil {
		a.remark, a.full = remarkPinnedKey, true
		password = a.decline()
	}
	return authTurn{toServer: password, from: fromServer}, nil
}
