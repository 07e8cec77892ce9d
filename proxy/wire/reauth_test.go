package wire

import (
	"encoding/binary"
	"testing"
)

func sampleResponse(caps Caps, rest string) []byte {
	b := binary.LittleEndian.AppendUint32(nil, uint32(caps))
	b = append(b, 0, 0, 0, 1, 45)
	b = append(b, make([]byte, 23)...)
	return append(b, rest...)
}

const sampleCaps = ClientMySQL | ClientProtocol41 | ClientSecureConnection | ClientPluginAuth

func TestWithoutAuth(t *testing.T) {
	for _, c := range []struct {
		caps     Caps
		in, want string
	}{
		{sampleCaps, "joe\x00\x07secret\x00sha256_password\x00", "joe\x00\x00" + NoPlugin + "\x00"},
		{sampleCaps | ClientPluginAuthLenenc, "joe\x00\x07secret\x00sha256_password\x00", "joe\x00\x00" + NoPlugin + "\x00"},
		{sampleCaps &^ ClientSecureConnection, "joe\x00secret\x00sha256_password\x00", "joe\x00\x00" + NoPlugin + "\x00"},
		{sampleCaps | ClientConnectWithDB | ClientConnectAttrs, "joe\x00\x01\x01shop\x00sha256_password\x00\x04\x01a\x01b", "joe\x00\x00shop\x00" + NoPlugin + "\x00\x04\x01a\x01b"},
		{sampleCaps, "joe\x00\x01\x01sha256_password", "joe\x00\x00" + NoPlugin},
		{sampleCaps &^ ClientPluginAuth, "joe\x00\x01\x01", "joe\x00\x01\x01"},
	} {
		if got := string(WithoutAuth(sampleResponse(c.caps, c.in))[32:]); got != c.want {
			t.Errorf("%q becomes %q, want %q", c.in, got, c.want)
		}
	}
	s := Session{Caps: sampleCaps}
	in := "\x11joe\x00\x07secret\x00shop\x00\x2d\x00sha256_password\x00\x04\x01a\x01b"
	if got, want := string(ChangeUserWithoutAuth([]byte(in), s)), "\x11joe\x00\x00shop\x00\x2d\x00"+NoPlugin+"\x00\x04\x01a\x01b"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if u := ParseChangeUser([]byte(in), s); u.User != "joe" || u.Plugin != "sha256_password" {
		t.Errorf("%+v", u)
	}
}

func TestCheckResponse(t *testing.T) {
	for in, ok := range map[string]bool{
		"":                      false,
		"joe":                   false,
		"joe\x00":               false,
		"joe\x00\x09abc":        false,
		"joe\x00\x03abc":        true,
		"joe\x00\x03abcplugin":  true,
		"joe\x00\x00plugin\x00": true,
		"\x00\x00plugin\x00":    true,
		"joe\x00\x03abc" + NativePassword + "\x00":                  false,
		"joe\x00\x00" + NativePassword + "\x00":                     true,
		"joe\x00\x1412345678901234567890" + NativePassword + "\x00": true,
	} {
		if err := CheckResponse(sampleResponse(sampleCaps, in)); (err == nil) != ok {
			t.Errorf("%q: %v", in, err)
		}
	}
	for in, ok := range map[string]bool{"": false, "\x03abc": true, "\x00": true, "\x09abc": false, "\x03\xfaxy": true} {
		if err := CheckResponse(sampleResponse(sampleCaps|ClientConnectAttrs, "joe\x00\x00plugin\x00"+in)); (err == nil) != ok {
			t.Errorf("attributes %q: %v", in, err)
		}
	}
}

func FuzzResponse(f *testing.F) {
	f.Add(sampleResponse(sampleCaps, "joe\x00\x07secret\x00sha256_password\x00"))
	f.Add([]byte("\x11joe\x00\x07secret\x00shop\x00\x2d\x00sha256_password\x00\x04\x01a\x01b"))
	f.Fuzz(func(t *testing.T, p []byte) {
		h, err := ParseResponse(p)
		ChangeUserWithoutAuth(p, Session{Caps: sampleCaps})
		ParseChangeUser(p, Session{Caps: sampleCaps})
		if r, err := SSLRequest(p); err == nil && len(r) > len(p) {
			t.Fatalf("%q", r)
		}
		if CheckResponse(p) != nil || err != nil || h.Caps&ClientProtocol41 == 0 || h.SSLRequest {
			return
		}
		again, err := ParseResponse(WithoutAuth(p))
		if err != nil || again.User != h.User || again.Database != h.Database || h.Plugin != "" && again.Plugin != NoPlugin {
			t.Fatalf("%+v became %+v, %v", h, again, err)
		}
	})
}
