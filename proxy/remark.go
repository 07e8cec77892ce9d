package proxy

import "midflight/proxy/wire"

// What is added to a server's refusal of a login that fails because there is a
// proxy. Number, SQL state and the server's own text stay.
const (
	remarkSocket = "if this account is authenticated by unix socket, the server asks who Midflight is and not who you are: " +
		"connect to the server directly, or give the account a password"
	remarkPinnedKey = "the password was not encrypted with the key that Midflight offers; a client that brings the server's public key needs " +
		"Midflight to have its private key (--server-private-key), or TLS"
	remarkNotEncrypted = "the password can't be encrypted with the server's RSA key (is it longer than the key?); use --server-tls on"
)

// errNoPassword is ER_ACCESS_DENIED_NO_PASSWORD_ERROR: refused, and the plugin
// has no use for a password. Plugins that go by the socket's peer say so, and
// some that hold a conversation of their own.
const errNoPassword = 1698

// explain returns the server's ERR, with what we know of its reason.
func (a *authRelay) explain(p []byte) []byte {
	e, err := wire.ParseErr(p)
	if err != nil {
		return p
	}
	if a.bad {
		return wire.AppendErr(nil, &wire.Err{Number: errHandshake, State: "08S01", Message: "Bad handshake"})
	}
	remark := a.remark
	if remark == "" && e.Number == errNoPassword && !conversational[a.plugin] {
		remark = remarkSocket
	}
	if remark == "" {
		return p
	}
	return wire.AppendErr(nil, &wire.Err{Number: e.Number, State: e.State, Message: withRemark(e.Message, remark)})
}

func withRemark(message, remark string) string { return message + "; Midflight: " + remark }

// conversational are client plugins that can be refused with 1698 for what was
// said in them.
var conversational = map[string]bool{"dialog": true, "mysql_clear_password": true, "auth_gssapi_client": true}
