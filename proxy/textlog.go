package proxy

import (
	"bytes"
	"unique"
)

// A textLog is what a session has been told to do since it last held nothing:
// the texts of its transaction, or of the statements in flight. From it follows
// whether the session may hold locks on a table, without asking the server and
// without having been prepared for the question.
type textLog struct {
	texts    []byte // each with a zero byte behind it
	prepared []unique.Handle[string]
	overflow bool  // something did not fit: may have touched everything
	since    nanos // of the first; 0: there is none
	current  int   // where the latest text begins; -1: it is latest
	latest   unique.Handle[string]
}

// What is kept for each session at most. An OLTP transaction is below 2 KB.
const (
	maxLogTexts    = 4 << 10
	maxLogPrepared = 64
)

func (l *textLog) begin(now nanos) {
	if l.since == 0 {
		l.since = now
	}
}

func (l *textLog) add(text []byte, now nanos) {
	l.begin(now)
	if len(l.texts)+len(text)+1 > maxLogTexts {
		l.overflow, l.current, l.latest = true, -1, unique.Handle[string]{}
		return
	}
	l.current = len(l.texts)
	l.texts = append(append(l.texts, text...), 0)
}

func (l *textLog) addPrepared(h unique.Handle[string], now nanos) {
	l.begin(now)
	l.current, l.latest = -1, h
	for _, p := range l.prepared {
		if p == h {
			return
		}
	}
	if h == (unique.Handle[string]{}) || len(l.prepared) == maxLogPrepared {
		l.overflow = true
		return
	}
	l.prepared = append(l.prepared, h)
}

// unknown notes a command whose text we don't have.
func (l *textLog) unknown(now nanos) {
	l.begin(now)
	l.overflow = true
}

func (l *textLog) clear() {
	*l = textLog{texts: l.texts[:0], prepared: l.prepared[:0]}
}

// mayTouch tells whether one of the statements may have touched one of names.
func (l *textLog) mayTouch(names []string) bool {
	if l.overflow {
		return true
	}
	for rest := l.texts; len(rest) > 0; {
		n := 0
		for rest[n] != 0 { // a zero byte inside a text only makes two of it
			n++
		}
		if mayTouch(rest[:n], names) {
			return true
		}
		rest = rest[n+1:]
	}
	for _, h := range l.prepared {
		if mayTouch([]byte(h.Value()), names) {
			return true
		}
	}
	return false
}

// onlyBegun tells whether all that was done is to begin a transaction: it holds
// no lock and has no snapshot yet.
func (l *textLog) onlyBegun() bool {
	if l.overflow || len(l.prepared) > 0 {
		return false
	}
	for rest := l.texts; len(rest) > 0; {
		text, next, _ := bytes.Cut(rest, []byte{0})
		var buf [16]byte
		switch string(firstWord(&buf, text)) {
		case "BEGIN", "START":
			if severalStatements(text) || containsFold(text, "SNAPSHOT") {
				return false
			}
		default:
			return false
		}
		rest = next
	}
	return true
}

// statement is the latest one, to show to people; "" when it was not kept.
func (l *textLog) statement() string {
	if l.current < 0 {
		if l.latest == (unique.Handle[string]{}) {
			return ""
		}
		return l.latest.Value()
	}
	for i, c := range l.texts[l.current:] {
		if c == 0 {
			return string(l.texts[l.current:][:i])
		}
	}
	return ""
}
