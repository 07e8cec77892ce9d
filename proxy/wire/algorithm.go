package wire

// An Algorithm is how the two ends compress what they send each other.
type Algorithm uint8

const (
	Uncompressed Algorithm = iota // ordinary packets, without any around them
	Stored                        // compressed packets, none of which is compressed
	Zlib
	Zstd
)

func (a Algorithm) String() string {
	switch a {
	case Stored:
		return "stored"
	case Zlib:
		return "zlib"
	case Zstd:
		return "zstd"
	}
	return "uncompressed"
}

// Agreed is what a connection is compressed with, by the capabilities that its
// ends have sent. zlib wins when both offer both, as MySQL's server decides it
// (sql/auth/sql_authentication.cc, parse_client_handshake_packet). A client that
// asks for what MySQL did not offer gets compressed packets all the same, with
// everything stored in them (sql/sql_connect.cc, prepare_new_connection_state;
// seen on 9.7.4). libmysqlclient asks for nothing that is not offered. MariaDB 10.11 knows zlib alone, offers it
// always, and takes no notice of ClientZstd.
//
// The level of zstd, the last byte of the client's HandshakeResponse, is for the
// server to compress with and of no interest here.
//
// Under TLS MySQL takes the client's capabilities from its SSLRequest and
// doesn't look at those of the HandshakeResponse behind it (same function).
//
// Both ends begin to compress behind the OK that ends authentication (also in
// prepare_new_connection_state), and go on for as long as they are connected:
// COM_CHANGE_USER's exchange is compressed.
func Agreed(client, server Caps) Algorithm {
	both := client & server
	switch {
	case both&ClientCompress != 0:
		return Zlib
	case both&ClientZstd != 0:
		return Zstd
	case client&Compression != 0 && server&ClientMySQL != 0:
		return Stored
	}
	return Uncompressed
}
