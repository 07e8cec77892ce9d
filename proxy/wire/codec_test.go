package wire

import (
	"bytes"
	"database/sql"
	"encoding/binary"
	"reflect"
	"testing"
)

// A greeting of MySQL 9.7, and one of MariaDB 10.11, shortened.
func greeting(version string, caps Caps, ext ExtCaps, plugin string) []byte {
	b := append([]byte{10}, version...)
	b = append(b, 0)
	b = binary.LittleEndian.AppendUint32(b, 4711)
	b = append(b, "abcdefgh\x00"...)
	b = binary.LittleEndian.AppendUint16(b, uint16(caps))
	b = append(b, 255, 2, 0)
	b = binary.LittleEndian.AppendUint16(b, uint16(caps>>16))
	b = append(b, 21, 0, 0, 0, 0, 0, 0)
	b = binary.LittleEndian.AppendUint32(b, uint32(ext))
	b = append(b, "ijklmnopqrst\x00"...)
	return append(append(b, plugin...), 0)
}

func TestGreeting(t *testing.T) {
	caps := Caps(0xdfffffff)
	p := greeting("9.7.4", caps, 0, "caching_sha2_password")
	g, err := ParseGreeting(p)
	if err != nil {
		t.Fatal(err)
	}
	if g.Version != "9.7.4" || g.ConnectionID != 4711 || g.Caps != caps || g.Ext != 0 ||
		string(g.Salt) != "abcdefghijklmnopqrst" || g.Plugin != "caching_sha2_password" || g.Status != StatusAutocommit {
		t.Errorf("%+v", g)
	}
	g.SetCaps(p, caps&^Compression&^ClientSSL)
	g2, err := ParseGreeting(p)
	if err != nil || g2.Caps != caps&^Compression&^ClientSSL || g2.Plugin != g.Plugin {
		t.Errorf("after SetCaps: %+v, %v", g2, err)
	}
	g, err = ParseGreeting(greeting("5.5.5-10.11", caps&^ClientMySQL, 0x1d, "mysql_native_password"))
	if err != nil || g.Ext != 0x1d {
		t.Errorf("MariaDB: %+v, %v", g, err)
	}
}

func TestResponse(t *testing.T) {
	caps := ClientProtocol41 | ClientSecureConnection | ClientPluginAuth | ClientConnectWithDB | ClientPluginAuthLenenc
	b := binary.LittleEndian.AppendUint32(nil, uint32(caps))
	b = append(b, 0, 0, 0, 1, 45)
	b = append(b, make([]byte, 19)...)
	b = append(b, 0x0d, 0, 0, 0)
	b = append(b, "joe\x00\x03abcshop\x00caching_sha2_password\x00"...)
	h, err := ParseResponse(b)
	want := Response{Caps: caps, Ext: 0x0d, User: "joe", Database: "shop", Plugin: "caching_sha2_password"}
	if err != nil || h != want {
		t.Errorf("%+v, %v", h, err)
	}
	ssl := bytes.Clone(b[:32])
	ssl[1] |= byte(ClientSSL >> 8)
	if h, err := ParseResponse(ssl); err != nil || !h.SSLRequest {
		t.Errorf("SSLRequest: %+v, %v", h, err)
	}
	h, err = ParseResponse(AppendEmptyResponse(nil, caps))
	if err != nil || h.User != "" || h.Plugin != "mysql_native_password" {
		t.Errorf("empty: %+v, %v", h, err)
	}
	for i := range b { // TiProxy #956
		ParseResponse(b[:i])
	}
	if h, err := ParseResponse([]byte("\x05\x00\x00\x00\x00old\x00")); err != nil || h.User != "old" {
		t.Errorf("before 4.1: %+v, %v", h, err)
	}
}

func TestOKRoundTrip(t *testing.T) {
	for _, s := range []Session{{Caps: testCaps}, {Caps: testCaps | ClientSessionTrack}} {
		for _, ok := range []OK{
			{}, {Affected: 1 << 50, InsertID: 70000, Status: StatusAutocommit, Warnings: 3, Info: "Records: 1"},
		} {
			got, err := ParseOK(AppendOK(nil, ok, s), s)
			if err != nil || !reflect.DeepEqual(got, ok) {
				t.Errorf("%+v became %+v, %v", ok, got, err)
			}
		}
	}
	s := Session{Caps: testCaps | ClientSessionTrack}
	ok := OK{Status: StatusSessionChanged, State: []byte("\x01\x02\x01x")}
	if got, err := ParseOK(AppendOK(nil, ok, s), s); err != nil || !reflect.DeepEqual(got, ok) {
		t.Errorf("%+v became %+v, %v", ok, got, err)
	}
}

func TestErrRoundTrip(t *testing.T) {
	for _, e := range []Err{{1062, "23000", "Duplicate"}, {2003, "", "Can't connect"}} {
		got, err := ParseErr(AppendErr(nil, &e))
		if err != nil || *got != e {
			t.Errorf("%+v became %+v, %v", e, got, err)
		}
	}
}

func TestRowRoundTrip(t *testing.T) {
	row := []sql.NullString{{}, {String: "", Valid: true}, {String: string(make([]byte, 70000)), Valid: true}}
	got, err := ParseTextRow(AppendTextRow(nil, row), 3)
	if err != nil || !reflect.DeepEqual(got, row) {
		t.Errorf("%v", err)
	}
	if name, err := ColumnName(AppendColumn(nil, "c1", Session{})); err != nil || name != "c1" {
		t.Errorf("%q, %v", name, err)
	}
}

func TestSetMoreResults(t *testing.T) {
	old, eof := Session{Caps: testCaps}, Session{Caps: testCaps | ClientDeprecateEOF}
	for _, c := range []struct {
		s Session
		p []byte
	}{
		{old, AppendOK(nil, OK{Affected: 300, Status: StatusAutocommit}, old)},
		{old, AppendEOF(nil, EOF{Status: StatusAutocommit})},
		{eof, append([]byte{0xfe}, AppendOK(nil, OK{Affected: 300, Status: StatusAutocommit}, eof)[1:]...)},
	} {
		if err := SetMoreResults(c.p, c.s); err != nil {
			t.Fatal(err)
		}
		var st Status
		if e, err := ParseEOF(c.p); err == nil && c.s == old {
			st = e.Status
		} else if ok, err := ParseOK(c.p, c.s); err == nil {
			st = ok.Status
		}
		if st != StatusAutocommit|StatusMoreResults {
			t.Errorf("%x: %#x", c.p, st)
		}
	}
}

func TestTextOffset(t *testing.T) {
	qa := Session{Caps: ClientQueryAttributes}
	for _, c := range []struct {
		s    Session
		p    string
		want string
		ok   bool
	}{
		{Session{}, "\x03SELECT 1", "SELECT 1", true},
		{qa, "\x03\x00\x01SELECT 1", "SELECT 1", true},
		{qa, "\x03\x02\x01\x00\x01\xfe\x00\x01n\x03\x00\x01mvalue\x00\x00\x00SELECT 1", "", false},
		{qa, "\x03\x02\x01\x00\x01\xfe\x00\x01n\x03\x00\x01m\x05value\x01\x00\x00\x00SELECT 1", "SELECT 1", true},
		{qa, "\x03\x01\x01\x01\x01\xfe\x00\x01nSELECT 1", "SELECT 1", true},
		{qa, "\x03\x01", "", false},
	} {
		at, ok := TextOffset([]byte(c.p), c.s)
		if ok && c.ok && c.p[at:] != c.want || ok != c.ok && c.want != "" {
			t.Errorf("%q: %d, %v", c.p, at, ok)
		}
	}
}

func TestAppendPacketSplits(t *testing.T) {
	b, seq := AppendPacket(nil, make([]byte, MaxFrame), 255)
	if len(b) != 2*HeaderLen+MaxFrame || seq != 1 {
		t.Errorf("%d bytes, next %d", len(b), seq)
	}
}

func FuzzDecoders(f *testing.F) {
	f.Add(greeting("9.7.4", 0xdfffffff, 0, "caching_sha2_password"), uint32(0xffffffff))
	f.Add(AppendEmptyResponse(nil, 0xffffffff), uint32(0xffffffff))
	f.Add([]byte("\x03\x02\x01\x00\x01\xfe\x00\x01n\x03\x00\x01m\x05value\x01\x00\x00\x00SELECT 1"), uint32(ClientQueryAttributes))
	f.Fuzz(func(t *testing.T, p []byte, caps uint32) {
		s := Session{Caps: Caps(caps)}
		if g, err := ParseGreeting(p); err == nil {
			g.SetCaps(bytes.Clone(p), 0)
		}
		ParseResponse(p)
		ClearCaps(bytes.Clone(p), Compression)
		if ok, err := ParseOK(p, s); err == nil {
			if again, err := ParseOK(AppendOK(nil, ok, s), s); err != nil || again.Affected != ok.Affected || again.Info != ok.Info {
				t.Errorf("%+v became %+v, %v", ok, again, err)
			}
		}
		if e, err := ParseErr(p); err == nil {
			if again, err := ParseErr(AppendErr(nil, e)); err != nil || again.Number != e.Number {
				t.Errorf("%+v became %+v", e, again)
			}
		}
		ParseEOF(p)
		ColumnName(p)
		if row, err := ParseTextRow(p, int(caps%100)); err == nil {
			if again, err := ParseTextRow(AppendTextRow(nil, row), len(row)); err != nil || !reflect.DeepEqual(again, row) {
				t.Errorf("%v became %v", row, again)
			}
		}
		if at, ok := TextOffset(p, s); ok && (at < 1 || at > len(p)) {
			t.Errorf("text at %d of %d", at, len(p))
		}
		SetMoreResults(bytes.Clone(p), s)
	})
}

// A number, a text and a packet are what they were, and a number cut anywhere is none.
func FuzzLenenc(f *testing.F) {
	for _, n := range []uint64{0, 250, 251, 1<<16 - 1, 1 << 16, 1<<24 - 1, 1 << 24, 1<<64 - 1} {
		f.Add(n, []byte("text"), byte(255))
	}
	f.Fuzz(func(t *testing.T, n uint64, text []byte, seq byte) {
		b := AppendLenenc(nil, n)
		for i := range b {
			if v, size := Lenenc(b[:i]); size != 0 {
				t.Fatalf("%x cut to %d bytes is %d", b, i, v)
			}
		}
		if v, size := Lenenc(append(b, text...)); v != n || size != len(b) {
			t.Fatalf("%d became %d, of %d bytes", n, v, size)
		}
		r := reader{b: AppendString(b, string(text))}
		if v, s := r.lenenc(), r.lenencBytes(); v != n || !bytes.Equal(s, text) || r.bad || len(r.b) > 0 {
			t.Fatalf("%d and %q became %d and %q", n, text, v, s)
		}
		// Lengths that lie take nothing that isn't there.
		r = reader{b: text}
		if s := r.lenencBytes(); r.bad != (s == nil) && len(s) > 0 || len(s) > len(text) {
			t.Fatalf("%q of %q", s, text)
		}
		p, next := AppendPacket(nil, text, seq)
		if size, got := ParseHeader(p); size != len(text) || got != seq || next != seq+1 || !bytes.Equal(p[HeaderLen:], text) {
			t.Fatalf("%q became %q", text, p)
		}
	})
}
