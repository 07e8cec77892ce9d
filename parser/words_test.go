package parser

import (
	"slices"
	"testing"
)

func TestWordsOfCalls(t *testing.T) {
	ansi := Mode{AnsiQuotes: true}
	plain := Mode{NoBackslashEscapes: true}
	for _, c := range []struct {
		text string
		mode Mode
		want []string // the words that are called
	}{
		{"ALTER TABLE t ADD c INT DEFAULT (CONNECTION_ID())", Mode{}, []string{"CONNECTION_ID"}},
		{"ALTER TABLE t ADD c INT DEFAULT (`connection_id`())", Mode{}, []string{"CONNECTION_ID"}},
		{`ALTER TABLE t ADD c INT DEFAULT ("connection_id" ())`, ansi, []string{"CONNECTION_ID"}},
		{"ALTER TABLE t ADD c INT DEFAULT /* ' */ (load_file /* ' */ ('x'))", Mode{}, []string{"DEFAULT", "LOAD_FILE"}},
		{`ALTER TABLE t ADD c INT COMMENT "it's" DEFAULT (sleep(1))`, Mode{}, []string{"DEFAULT", "SLEEP"}},
		{`ALTER TABLE t ADD c INT COMMENT '\' DEFAULT (sleep(1)) COMMENT 'x'`, plain, []string{"DEFAULT", "SLEEP"}},
		{"ALTER TABLE t ADD c INT DEFAULT 1 -- it's\n, ADD d INT DEFAULT (user())", Mode{}, []string{"DEFAULT", "USER"}},
		{"ALTER TABLE t ADD c INT COMMENT 'user()', ADD INDEX user (c), ADD user INT", Mode{}, nil},
	} {
		s, err := Parse(c.text, c.mode)
		if err != nil {
			t.Fatalf("%s: %v", c.text, err)
		}
		var called []string
		for _, w := range s.Words() {
			if w.Called {
				called = append(called, w.Text)
			}
		}
		for _, w := range c.want {
			if !slices.Contains(called, w) {
				t.Errorf("%s: %v, want %s", c.text, called, w)
			}
		}
		if c.want == nil && slices.Contains(called, "USER") {
			t.Errorf("%s: %v", c.text, called)
		}
	}
}
