package wire

import (
	"bytes"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// A turn is bytes of one direction.
type turn struct {
	client bool
	bytes  []byte
}

func pkt(seq byte, payload string) []byte {
	b, _ := AppendPacket(nil, []byte(payload), seq)
	return b
}

func okPkt(seq byte, st Status, s Session) []byte {
	b, _ := AppendPacket(nil, AppendOK(nil, OK{Status: st}, s), seq)
	return b
}

func eofPkt(seq byte, st Status) []byte { return pkt(seq, string(AppendEOF(nil, EOF{Status: st}))) }

// walk feeds turns to a walker in pieces, as cut by pieces, and narrates. The
// narration must not depend on the pieces.
func walk(t *testing.T, s Session, turns []turn, piece func(left int) int) string {
	t.Helper()
	w := NewWalker(s, StatusAutocommit)
	var out strings.Builder
	for _, tn := range turns {
		var kept []byte
		for rest := tn.bytes; len(rest) > 0; {
			n := min(max(piece(len(rest)), 1), len(rest))
			p := append(kept, rest[:n]...)
			rest, kept = rest[n:], nil
			for len(p) > 0 {
				if !tn.client {
					n, ev := w.Server(p)
					p = p[n:]
					if ev.Kind != None {
						fmt.Fprintf(&out, "S %d cmd=%#x err=%v stmt=%d status=%#x trx=%v idle=%v\n",
							ev.Kind, ev.Cmd, ev.Err, ev.Statement, w.Status(), w.InTransaction(), w.Idle())
					} else if len(p) > 0 {
						t.Fatalf("server bytes left without an event")
					}
					continue
				}
				n, stop := w.Client(p)
				p = p[n:]
				if stop == StopPartial {
					if len(p) >= HeaderLen+commandHead {
						t.Fatalf("partial with %d bytes", len(p))
					}
					kept = bytes.Clone(p)
					break
				}
				if stop == StopCommand {
					fmt.Fprintf(&out, "C %#x len=%d stmt=%d\n", w.Next().Cmd, w.Next().Length, w.Next().Statement)
					p = p[w.Begin(p, 0):]
				}
			}
		}
		if len(kept) > 0 {
			fmt.Fprintf(&out, "C partial %d\n", len(kept))
		}
		fmt.Fprintf(&out, "- idle=%v flight=%d\n", w.Idle(), w.InFlight())
	}
	return out.String()
}

const (
	testCaps   = ClientProtocol41 | ClientTransactions | ClientSecureConnection | ClientPluginAuth
	autocommit = StatusAutocommit
)

func join(b ...[]byte) []byte { return bytes.Join(b, nil) }

func resultSet(s Session, end Status) []byte {
	b, _ := AppendResult(nil, []string{"a", "b"},
		[][]sql.NullString{{{String: "1", Valid: true}, {}}, {{String: strings.Repeat("x", 300), Valid: true}, {}}},
		EOF{Status: end}, s, 1)
	return b
}

// conversations are what servers and clients say. Each must end idle, unless
// its name begins with "!".
func conversations() map[string]struct {
	s     Session
	turns []turn
} {
	old := Session{Caps: testCaps}
	eof := Session{Caps: testCaps | ClientDeprecateEOF | ClientSessionTrack}
	meta := Session{Caps: eof.Caps | ClientOptionalMetadata}
	maria := Session{Caps: testCaps | ClientDeprecateEOF, Ext: ExtProgress | ExtCacheMetadata}
	c := func(b ...[]byte) turn { return turn{true, join(b...)} }
	sv := func(b ...[]byte) turn { return turn{false, join(b...)} }
	q := pkt(0, "\x03SELECT 1")
	errPkt := pkt(1, string(AppendErr(nil, &Err{Number: 1062, State: "23000", Message: "dup"})))
	state := OK{Status: autocommit | StatusSessionChanged, State: []byte("\x01\x05\x04test")}
	stateOK := pkt(1, string(AppendOK(nil, state, eof)))
	prepOK := func(seq byte, cols, params byte, more string) []byte {
		return pkt(seq, string([]byte{0, 7, 0, 0, 0, cols, 0, params, 0, 0, 0, 0})+more)
	}
	def := string(AppendColumn(nil, "c", old))
	big := strings.Repeat("x", MaxFrame+10)
	type conv = struct {
		s     Session
		turns []turn
	}
	m := map[string]conv{}
	add := func(name string, s Session, turns ...turn) { m[name] = conv{s, turns} }
	for n, s := range map[string]Session{"old": old, "eof": eof, "meta": meta, "maria": maria} {
		add(n+" ok", s, c(q), sv(okPkt(1, autocommit, s)))
		add(n+" err", s, c(q), sv(errPkt))
		add(n+" rows", s, c(q), sv(resultSet(s, autocommit)))
		add(n+" multi", s, c(q), sv(resultSet(s, autocommit|StatusMoreResults), okPkt(5, autocommit|StatusMoreResults, s), resultSet(s, autocommit)))
		add(n+" multi err", s, c(q), sv(resultSet(s, autocommit|StatusMoreResults), errPkt))
		add(n+" pipeline", s, c(q, q, pkt(0, "\x0e"), q), sv(resultSet(s, autocommit), errPkt, okPkt(1, autocommit|StatusInTrans, s)), sv(resultSet(s, autocommit)))
		add(n+" infile", s, c(q), sv(pkt(1, "\xfb/etc/x")), c(pkt(2, "some data"), pkt(3, "more"), pkt(4, "")), sv(okPkt(5, autocommit, s)), c(q), sv(okPkt(1, autocommit, s)))
		add(n+" empty infile", s, c(q), sv(pkt(1, "\xfbx")), c(pkt(2, "")), sv(okPkt(3, autocommit, s)))
	}
	add("state", eof, c(q), sv(stateOK), c(q), sv(stateOK))
	add("begin", eof, c(q), sv(okPkt(1, autocommit|StatusInTrans, eof)), c(q), sv(errPkt))
	add("autocommit off", eof, c(q), sv(okPkt(1, 0, eof)), c(q), sv(errPkt), c(q), sv(okPkt(1, 0, eof)))
	add("no answer", old, c(pkt(0, "\x19\x01\x00\x00\x00"), pkt(0, "\x18\x01\x00\x00\x00\x00\x00data"), pkt(0, "\x01")))
	add("goodbye", old, sv(errPkt))
	add("statistics", old, c(pkt(0, "\x09")), sv(pkt(1, "\xff Uptime")))
	add("unknown", old, c(pkt(0, "\x63 what")), sv(errPkt))
	add("empty command", old, c(pkt(0, "")), sv(errPkt))
	add("set option", old, c(pkt(0, "\x1b\x00\x00")), sv(eofPkt(1, autocommit)))
	add("set option eof", eof, c(pkt(0, "\x1b\x00\x00")), sv(pkt(1, "\xfe\x00\x00\x02\x00\x00\x00")))
	add("field list", old, c(pkt(0, "\x04t\x00")), sv(pkt(1, def+"\xfb"), pkt(2, def), eofPkt(3, autocommit)))
	add("prepare", old, c(pkt(0, "\x16SELECT ?")), sv(prepOK(1, 1, 1, ""), pkt(2, def), eofPkt(3, 2), pkt(4, def), eofPkt(5, 2)))
	add("prepare eof", eof, c(pkt(0, "\x16SELECT ?")), sv(prepOK(1, 2, 1, ""), pkt(2, def), pkt(3, def), pkt(4, def)))
	add("prepare none", old, c(pkt(0, "\x16DO 1")), sv(prepOK(1, 0, 0, "")))
	add("prepare params", old, c(pkt(0, "\x16DO ?")), sv(prepOK(1, 0, 2, ""), pkt(2, def), pkt(3, def), eofPkt(4, 2)))
	add("prepare no metadata", meta, c(pkt(0, "\x16SELECT ?")), sv(prepOK(1, 1, 1, "\x00")))
	add("prepare metadata", meta, c(pkt(0, "\x16SELECT ?")), sv(prepOK(1, 1, 1, "\x01"), pkt(2, def), pkt(3, def)))
	add("prepare err", old, c(pkt(0, "\x16SELECT ?")), sv(errPkt))
	add("no metadata", meta, c(pkt(0, "\x17\x07\x00\x00\x00")), sv(pkt(1, "\x03\x00"), pkt(2, "\x00\x00row"), pkt(3, "\xfe\x00\x00\x02\x00\x00\x00")))
	add("cursor", old, c(pkt(0, "\x17\x07\x00\x00\x00\x01")), sv(pkt(1, "\x01"), pkt(2, def), eofPkt(3, autocommit|StatusCursorExists)),
		c(pkt(0, "\x1c\x07\x00\x00\x00\x01\x00\x00\x00")), sv(pkt(1, "\x00\x00r"), eofPkt(2, autocommit|StatusCursorExists)),
		c(pkt(0, "\x1c\x07\x00\x00\x00\x01\x00\x00\x00")), sv(eofPkt(1, autocommit|StatusLastRowSent)))
	add("cursor eof", eof, c(pkt(0, "\x17\x07\x00\x00\x00\x01")), sv(pkt(1, "\x01"), pkt(2, def), pkt(3, "\xfe\x00\x00\x42\x00\x00\x00")))
	add("error in rows", eof, c(q), sv(pkt(1, "\x01"), pkt(2, def), pkt(3, "\x01r"), errPkt))
	add("change user", old, c(pkt(0, "\x11u\x00\x00\x00")), sv(pkt(1, "\xfecaching_sha2_password\x00salt")), c(pkt(2, strings.Repeat("h", 32))),
		sv(pkt(3, "\x01\x03")), sv(okPkt(4, autocommit, old)), c(q), sv(okPkt(1, autocommit, old)))
	add("change user full", old, c(pkt(0, "\x11u\x00\x00\x00")), sv(pkt(1, "\xfex\x00s")), c(pkt(2, "h")),
		sv(pkt(3, "\x01\x04")), c(pkt(4, "\x02")), sv(pkt(5, "\x01PEM")), c(pkt(6, "cipher")), sv(okPkt(7, autocommit, old)))
	add("change user empty answer", old, c(pkt(0, "\x11u\x00\x00\x00")), sv(pkt(1, "\xfex\x00s")), c(pkt(2, "")), sv(errPkt))
	add("progress", maria, c(q), sv(pkt(1, "\xff\xff\xff\x01\x01\x02abcstage"), pkt(2, "\xff\xff\xff\x01\x01\x02abcstage"), okPkt(3, autocommit, maria)))
	add("error 65535", maria, c(q), sv(pkt(1, "\xff\xff\xff#45000it is")))
	add("!dump", old, c(pkt(0, "\x12....")), sv(pkt(1, "\x00event"), pkt(2, "\x00event")), c(pkt(0, "\xefack")), sv(pkt(3, "\x00event")))
	add("dump refused", old, c(pkt(0, "\x12....")), sv(errPkt))
	add("dump ends", old, c(pkt(0, "\x12....")), sv(pkt(1, "\x00event"), eofPkt(2, 0)))
	add("long query", old, c(pkt(0, "\x03"+big)), sv(okPkt(2, autocommit, old)), c(q), sv(okPkt(1, autocommit, old)))
	exact := strings.Repeat("x", MaxFrame-1)
	add("exact query", old, c(pkt(0, "\x03"+exact)), sv(okPkt(2, autocommit, old)))
	add("long row", eof, c(q), sv(pkt(1, "\x01"), pkt(2, def), pkt(3, "\xfe"+big), pkt(5, "\xfe\x00\x00\x02\x00\x00\x00")))
	add("exact infile", old, c(q), sv(pkt(1, "\xfbx")), c(pkt(2, "\x03"+exact), pkt(4, "tail"), pkt(5, "")), sv(okPkt(6, autocommit, old)))
	add("no affected info", old, c(q), sv(pkt(1, string(AppendOK(nil, OK{Affected: 1 << 40, InsertID: 1 << 60, Status: autocommit, Info: "Rows matched: 1"}, old)))))
	return m
}

func TestWalkerConversations(t *testing.T) {
	for name, c := range conversations() {
		t.Run(name, func(t *testing.T) {
			whole := walk(t, c.s, c.turns, func(n int) int { return n })
			if idle := strings.HasSuffix(whole, "- idle=true flight=0\n"); idle == strings.HasPrefix(name, "!") {
				t.Errorf("idle at the end: %v\n%s", idle, whole)
			}
			size := 0
			for _, tn := range c.turns {
				size += len(tn.bytes)
			}
			pieces := map[string]func(int) int{}
			if size < 1<<16 {
				pieces["bytes"] = func(int) int { return 1 }
				for i := range 50 {
					r := rand.New(rand.NewPCG(1, uint64(i)))
					pieces[fmt.Sprint("seed ", i)] = func(int) int { return 1 + r.IntN(1+r.IntN(40)) }
				}
			}
			pieces["1 MB"] = func(int) int { return 1 << 20 }
			pieces["but one"] = func(n int) int { return max(n-1, 1) }
			for how, piece := range pieces {
				if got := walk(t, c.s, c.turns, piece); got != whole {
					t.Fatalf("in pieces of %s:\n%s\nwhole:\n%s", how, got, whole)
				}
			}
		})
	}
}

// What a few conversations mean, in words.
func TestWalkerNarration(t *testing.T) {
	m := conversations()
	for name, want := range map[string]string{
		"autocommit off": "C 0x3 len=9 stmt=0\n- idle=false flight=1\nS 1 cmd=0x3 err=false stmt=0 status=0x0 trx=false idle=true\n- idle=true flight=0\n" +
			"C 0x3 len=9 stmt=0\n- idle=false flight=1\nS 1 cmd=0x3 err=true stmt=0 status=0x0 trx=true idle=true\n- idle=true flight=0\n" +
			"C 0x3 len=9 stmt=0\n- idle=false flight=1\nS 1 cmd=0x3 err=false stmt=0 status=0x0 trx=false idle=true\n- idle=true flight=0\n",
		"goodbye": "S 2 cmd=0x0 err=false stmt=0 status=0x2 trx=false idle=true\n- idle=true flight=0\n",
		"prepare": "C 0x16 len=9 stmt=0\n- idle=false flight=1\nS 1 cmd=0x16 err=false stmt=7 status=0x2 trx=false idle=true\n- idle=true flight=0\n",
		"long query": "C 0x3 len=16777215 stmt=0\n- idle=false flight=1\nS 1 cmd=0x3 err=false stmt=0 status=0x2 trx=false idle=true\n- idle=true flight=0\n" +
			"C 0x3 len=9 stmt=0\n- idle=false flight=1\nS 1 cmd=0x3 err=false stmt=0 status=0x2 trx=false idle=true\n- idle=true flight=0\n",
	} {
		if got := walk(t, m[name].s, m[name].turns, func(n int) int { return n }); got != want {
			t.Errorf("%s: got\n%swant\n%s", name, got, want)
		}
	}
}

// Any bytes, cut anywhere, give the same events and no panic.
func FuzzWalker(f *testing.F) {
	for _, c := range conversations() {
		var data []byte
		for _, tn := range c.turns {
			if len(tn.bytes) > 1000 {
				continue
			}
			b := byte(0)
			if tn.client {
				b = 1
			}
			data = append(data, b, byte(min(len(tn.bytes), 255)))
			data = append(data, tn.bytes[:min(len(tn.bytes), 255)]...)
		}
		f.Add(uint32(c.s.Caps), uint32(c.s.Ext), data, uint64(1))
	}
	f.Fuzz(func(t *testing.T, caps, ext uint32, data []byte, seed uint64) {
		var turns []turn
		for len(data) >= 2 {
			n := min(int(data[1]), len(data)-2)
			// A piece of the client's that stays behind is joined to its next turn
			// in life; here each turn ends the packet.
			turns = append(turns, turn{data[0]&1 == 1, data[2 : 2+n]})
			data = data[2+n:]
		}
		s := Session{Caps: Caps(caps), Ext: ExtCaps(ext)}
		whole := walk(t, s, turns, func(n int) int { return n })
		r := rand.New(rand.NewPCG(seed, 1))
		if got := walk(t, s, turns, func(int) int { return 1 + r.IntN(20) }); got != whole {
			t.Fatalf("in pieces:\n%s\nwhole:\n%s", got, whole)
		}
	})
}

func BenchmarkWalker(b *testing.B) {
	s := Session{Caps: testCaps | ClientDeprecateEOF}
	q := pkt(0, "\x03SELECT c FROM sbtest1 WHERE id=5047")
	r := resultSet(s, autocommit)
	w := NewWalker(s, autocommit)
	b.ReportAllocs()
	for b.Loop() {
		w.Client(q)
		w.Client(q[w.Begin(q, 0):])
		for p := r; len(p) > 0; {
			n, _ := w.Server(p)
			p = p[n:]
		}
	}
}
