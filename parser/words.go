package parser

import "strings"

// A Word is a name or keyword of a statement, as the server's lexer sees it:
// what is inside of strings and comments is none.
type Word struct {
	Text   string // in capitals
	Called bool   // it is followed by '(' and doesn't name what is defined: a function's name, perhaps
}

// Words of the statement, in order. A quoted name is one only where it may be a
// function's: the server takes `load_file`('x') for a call.
func (s Statement) Words() []Word { return s.words }

// defines are keywords behind which a name with a '(' is an index's, a
// constraint's or a table's.
var defines = map[string]bool{
	"INDEX": true, "KEY": true, "UNIQUE": true, "FULLTEXT": true, "SPATIAL": true, "VECTOR": true,
	"CONSTRAINT": true, "EXISTS": true, "REFERENCES": true, "PRIMARY": true, "PARTITION": true, "SUBPARTITION": true,
}

func (r *reader) words() []Word {
	var words []Word
	before := ""
	for i, t := range r.toks {
		text := r.text[t.pos:t.end]
		called := i+1 < len(r.toks) && r.text[r.toks[i+1].pos] == '(' && !defines[before]
		before = ""
		switch t.kind {
		case tokWord:
			before = strings.ToUpper(text)
			words = append(words, Word{before, called})
		case tokQuoted:
			if called {
				words = append(words, Word{strings.ToUpper(unquote(text)), true})
			}
		case tokOp:
			if text == "@" {
				words = append(words, Word{Text: text})
			}
		}
	}
	return words
}
