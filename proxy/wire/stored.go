package wire

// AppendStored appends packets, complete ordinary ones with their headers, as
// content of compressed packets that are not compressed, numbered from seq, and
// returns the number after the last one.
func AppendStored(b, packets []byte, seq byte) ([]byte, byte) {
	for len(packets) > 0 {
		n := min(len(packets), MaxFrame)
		b = append(b, byte(n), byte(n>>8), byte(n>>16), seq, 0, 0, 0)
		b = append(b, packets[:n]...)
		packets = packets[n:]
		seq++
	}
	return b, seq
}
