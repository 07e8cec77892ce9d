package wire

import "encoding/binary"

// Greeting is the server's HandshakeV10, as far as a relay needs it.
type Greeting struct {
	Version      string
	ConnectionID uint32
	Caps         Caps
	Ext          ExtCaps
	Status       Status
	Salt         []byte
	Plugin       string

	low, high int // where the two halves of Caps are; high is 0 when absent
}

// ParseGreeting reads a HandshakeV10 payload.
func ParseGreeting(p []byte) (Greeting, error) {
	var g Greeting
	r := reader{b: p}
	if r.u8() != 10 {
		return g, ErrMalformed
	}
	g.Version = string(r.untilNul())
	g.ConnectionID = r.u32()
	g.Salt = append(g.Salt, r.bytes(8)...)
	r.u8()
	g.low = len(p) - len(r.b)
	g.Caps = Caps(r.u16())
	if r.bad {
		return g, ErrMalformed
	}
	if len(r.b) == 0 { // before 4.1 it may end here
		return g, nil
	}
	r.u8() // collation
	g.Status = Status(r.u16())
	g.high = len(p) - len(r.b)
	g.Caps |= Caps(r.u16()) << 16
	saltLen := int(r.u8())
	reserved := r.bytes(10)
	if r.bad {
		return g, ErrMalformed
	}
	if g.Caps&ClientMySQL == 0 {
		g.Ext = ExtCaps(binary.LittleEndian.Uint32(reserved[6:]))
	}
	if g.Caps&ClientSecureConnection != 0 {
		rest := r.bytes(min(max(13, saltLen-8), len(r.b)))
		if n := len(rest); n > 0 && rest[n-1] == 0 {
			rest = rest[:n-1]
		}
		g.Salt = append(g.Salt, rest...)
	}
	if g.Caps&ClientPluginAuth != 0 {
		g.Plugin = string(r.untilNul())
	}
	return g, nil
}

// SetCaps changes the capabilities in p, the payload that g was parsed from.
func (g *Greeting) SetCaps(p []byte, c Caps) {
	g.Caps = c
	binary.LittleEndian.PutUint16(p[g.low:], uint16(c))
	if g.high > 0 {
		binary.LittleEndian.PutUint16(p[g.high:], uint16(c>>16))
	}
}
