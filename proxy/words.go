package proxy

import (
	"bytes"
	"slices"
)

// A word is the hash of a table's name, or of a part of one, in small letters. Sampled
// statements are kept as their words: their texts would take too much.
//
// The words of a text are those that containsName finds, but for strings, comments and
// numbers, of which a bulk INSERT or a tracer has any number.
type word = uint32

const (
	// foreign is all that isn't ASCII: it may be written in any character set.
	foreign word = 1
	// maxWords of a statement are kept, the first ones. An ORM writes two or three for
	// each column before it comes to the table.
	maxWords = 256
	// maxWordsIn is how much of a text is looked at.
	maxWordsIn = 16 << 10
)

// A wordSet is a set by open addressing; no word is 0.
type wordSet [2 * maxWords]word

// add tells whether w is new.
func (s *wordSet) add(w word) bool {
	for i := w; ; i++ {
		switch at := &s[i%uint32(len(s))]; *at {
		case w:
			return false
		case 0:
			*at = w
			return true
		}
	}
}

// appendWords appends the words of a text, each once.
//
// It takes \' for a quote inside a string. With NO_BACKSLASH_ESCAPES a string that ends
// in a back-slash makes it take strings for text from there on, and text for strings.
func appendWords(dst []word, text []byte) []word {
	text = text[:min(len(text), maxWordsIn)]
	var set wordSet
	var within byte // the quote that a name ends with; 0: it isn't in quotes
	full := len(dst) + maxWords
	for i := 0; i < len(text) && len(dst) < full; {
		n := 1
		switch c := text[i]; {
		case inName(c):
			var w word
			var number bool
			w, n, number = wordOf(text[i:])
			// A name of digits only is in quotes.
			if number && (within == 0 || text[i-1] != within) {
				break
			}
			if set.add(w) {
				dst = append(dst, w)
			}
		case c >= 0x80:
			if set.add(foreign) {
				dst = append(dst, foreign)
			}
		case c == within:
			within = 0
		case within == '"' && c == '\\': // of a string: without ANSI_QUOTES it is none of a name
			n = 2
		case within == 0 && (c == '`' || c == '"'):
			within = c
		case within == 0:
			n = beside(text[i:])
		}
		i += n
	}
	return dst
}

// wordOf is the word that a text begins with, and its length. number: it has nothing but
// digits.
func wordOf(text []byte) (w word, n int, number bool) {
	const offset, prime = 2166136261, 16777619 // FNV-1a
	w, number = offset, true
	for n < len(text) && inName(text[n]) {
		c := lower(text[n])
		number = number && '0' <= c && c <= '9'
		w = (w ^ word(c)) * prime
		n++
	}
	return max(w, foreign+1), n, number
}

// beside is the length of what a text begins with and that is neither a word nor a quoted
// name: a string, a comment, or one character.
func beside(text []byte) int {
	switch c := text[0]; {
	case c == '\'':
		for i := 1; i < len(text); i++ {
			switch text[i] {
			case '\\':
				i++
			case '\'': // of two the second begins another string, with the rest
				return i + 1
			}
		}
		return len(text)
	case c == '!': // the inside of /*!50000orders */ is text
		return 1 + len(text[1:]) - len(bytes.TrimLeft(text[1:], "0123456789"))
	case bytes.HasPrefix(text, []byte("/*")) && !bytes.HasPrefix(text, []byte("/*!")) && !bytes.HasPrefix(text, []byte("/*M!")):
		return upTo(text, 2, "*/")
	case c == '#', bytes.HasPrefix(text, []byte("--")) && (len(text) == 2 || text[2] <= ' '):
		return upTo(text, 1, "\n")
	}
	return 1
}

// upTo is the length of a text up to and with what ends it, behind the first n bytes.
func upTo(text []byte, n int, end string) int {
	if i := bytes.Index(text[n:], []byte(end)); i >= 0 {
		return n + i + len(end)
	}
	return len(text)
}

// wordsOf are the words that a text has which names the table.
func wordsOf(name string) []word {
	w := appendWords(nil, []byte("`"+name+"`"))
	if slices.Contains(w, foreign) {
		return []word{foreign}
	}
	return w
}

// hasAll tells whether all of of, and there are some, are among words.
func hasAll(words, of []word) bool {
	if len(of) == 0 {
		return false
	}
	for _, w := range of {
		if !slices.Contains(words, w) {
			return false
		}
	}
	return true
}
