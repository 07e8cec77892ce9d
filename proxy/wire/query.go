package wire

// TextOffset tells where the text begins in p, the first bytes of a COM_QUERY
// payload: behind the command byte and, with QUERY_ATTRIBUTES, behind the
// parameters. ok is false when p ends before the text does begin, or when the
// parameters are of a kind that we don't know.
func TextOffset(p []byte, s Session) (at int, ok bool) {
	if len(p) == 0 {
		return 0, false
	}
	if !s.has(ClientQueryAttributes) {
		return 1, true
	}
	r := reader{b: p[1:]}
	n := r.lenenc()
	r.lenenc() // number of sets: 1
	if r.bad || n > 65535 {
		return 0, false
	}
	if n == 0 {
		return len(p) - len(r.b), true
	}
	nulls := r.bytes(int(n+7) / 8)
	if r.u8() != 1 { // the types must have come along
		return 0, false
	}
	types := make([]byte, n)
	for i := range types {
		types[i] = byte(r.u16())
		r.lenencBytes()
		if r.bad {
			return 0, false
		}
	}
	for i, t := range types {
		if nulls[i/8]&(1<<(i%8)) != 0 {
			continue
		}
		if !skipBinary(&r, t) || r.bad {
			return 0, false
		}
	}
	return len(p) - len(r.b), true
}

// skipBinary skips a value of the binary protocol.
func skipBinary(r *reader, typ byte) bool {
	switch typ {
	case 0x06: // NULL
	case 0x01: // TINY
		r.bytes(1)
	case 0x02, 0x0d: // SHORT, YEAR
		r.bytes(2)
	case 0x03, 0x09, 0x04: // LONG, INT24, FLOAT
		r.bytes(4)
	case 0x08, 0x05: // LONGLONG, DOUBLE
		r.bytes(8)
	case 0x07, 0x0a, 0x0b, 0x0c, 0x0e, 0x11, 0x12, 0x13: // dates and times
		r.bytes(int(r.u8()))
	case 0x00, 0x0f, 0x10, 0xf2, 0xf5, 0xf6, 0xf7, 0xf8, 0xf9, 0xfa, 0xfb, 0xfc, 0xfd, 0xfe, 0xff:
		r.lenencBytes()
	default:
		return false
	}
	return true
}

// AppendQuery appends the payload of a COM_QUERY of ours.
func AppendQuery(b []byte, sql string, s Session) []byte {
	b = append(b, ComQuery)
	if s.has(ClientQueryAttributes) {
		b = append(b, 0, 1) // no parameters, one set of them
	}
	return append(b, sql...)
}
