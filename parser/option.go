package parser

// options reads table options, which may stand side by side without commas.
// Each becomes an Action of its own. What isn't an option becomes one Unknown.
func (r *reader) options() []Action {
	var as []Action
	for !r.done() {
		from := r.i
		a, ok := r.option()
		if !ok {
			return append(as, Action{Kind: Unknown, Text: r.textOf(from, len(r.toks))})
		}
		a.Text = r.textOf(from, r.i)
		as = append(as, a)
	}
	return as
}

func (r *reader) option() (Action, bool) {
	a := Action{Kind: TableOption}
	switch {
	case r.take("WITH", "SYSTEM", "VERSIONING"):
		return Action{Kind: SystemVersioning}, true
	case r.take("START", "TRANSACTION"):
		return a, true
	case r.is("ENGINE"):
		a.Kind = Engine
	case r.is("AUTO_INCREMENT"):
		a.Kind = AutoIncrement
	}
	n := r.optionName()
	if n == 0 {
		return a, false
	}
	r.i += n
	r.takeOp('=')
	if r.done() {
		return a, true
	}
	if t := r.peek(0); !r.isOp('(') {
		a.Value = unquoteValue(r.text[t.pos:t.end])
	}
	r.skipGroup()
	return a, true
}

// optionName is the number of tokens in the name of the option at i, 0 if it
// isn't one. A name that we don't know is one if a '=' follows: storage engines
// of MariaDB have options of their own.
func (r *reader) optionName() int {
	n := 0
	if r.is("DEFAULT") {
		n = 1
	}
	switch {
	case r.wordAt(n, "CHARACTER") && r.wordAt(n+1, "SET"),
		r.wordAt(n, "CHAR") && r.wordAt(n+1, "SET"),
		r.wordAt(n, "DATA") && r.wordAt(n+1, "DIRECTORY"),
		r.wordAt(n, "INDEX") && r.wordAt(n+1, "DIRECTORY"):
		return n + 2
	}
	k := r.peek(n).kind
	if (k == tokWord || k == tokQuoted) && r.peekOp(n+1, '=') {
		return n + 1
	}
	for _, w := range optionNames {
		if r.wordAt(n, w) {
			return n + 1
		}
	}
	return 0
}

var optionNames = []string{
	"AUTOEXTEND_SIZE", "AUTO_INCREMENT", "AVG_ROW_LENGTH", "CHARSET", "CHECKSUM", "COLLATE",
	"COMMENT", "COMPRESSION", "CONNECTION", "DELAY_KEY_WRITE", "ENCRYPTION", "ENGINE",
	"ENGINE_ATTRIBUTE", "INSERT_METHOD", "KEY_BLOCK_SIZE", "MAX_ROWS", "MIN_ROWS", "NODEGROUP",
	"PACK_KEYS", "PAGE_CHECKSUM", "PASSWORD", "ROW_FORMAT", "SECONDARY_ENGINE",
	"SECONDARY_ENGINE_ATTRIBUTE", "SEQUENCE", "STATS_AUTO_RECALC", "STATS_PERSISTENT",
	"STATS_SAMPLE_PAGES", "STORAGE", "TABLESPACE", "TABLE_CHECKSUM", "TRANSACTIONAL", "UNION",
}

// unquoteValue gives an option's value without its quotes. Escapes within a
// string stay as they are: nobody needs a comment's text.
func unquoteValue(s string) string {
	if len(s) >= 2 && s[0] == '\'' && s[len(s)-1] == '\'' {
		return s[1 : len(s)-1]
	}
	return unquote(s)
}
