package plan

import (
	"strings"

	"midflight/parser"
)

// The no-op ALTER that stands for the user's privileges checks ALTER, CREATE
// and INSERT. A clause for which the server checks more, or whose value depends
// on who evaluates it, must never run with the engine's account: it is left to
// the server and the user's own session.

// plainOptions need no privilege beyond ALTER.
var plainOptions = map[string]bool{
	"COMMENT": true, "ROW_FORMAT": true, "KEY_BLOCK_SIZE": true, "AUTO_INCREMENT": true,
	"CHARSET": true, "CHARACTER": true, "DEFAULT": true, "COLLATE": true,
	"STATS_PERSISTENT": true, "STATS_AUTO_RECALC": true, "STATS_SAMPLE_PAGES": true,
	"MAX_ROWS": true, "MIN_ROWS": true, "AVG_ROW_LENGTH": true, "PACK_KEYS": true,
	"CHECKSUM": true, "DELAY_KEY_WRITE": true, "COMPRESSION": true,
}

// whose gives another value, or has another effect, under another account or on
// another connection.
var whose = map[string]bool{
	"LOAD_FILE": true, "USER": true, "CURRENT_USER": true, "SESSION_USER": true, "SYSTEM_USER": true,
	"CURRENT_ROLE": true, "ROLES_GRAPHML": true, "CONNECTION_ID": true, "DATABASE": true, "SCHEMA": true,
	"LAST_INSERT_ID": true, "ROW_COUNT": true, "FOUND_ROWS": true, "GET_LOCK": true, "RELEASE_LOCK": true,
	"SLEEP": true, "BENCHMARK": true, "NEXTVAL": true, "SETVAL": true, "NEXT": true, "LASTVAL": true, "PREVIOUS": true,
	"DIRECTORY": true, "TABLESPACE": true, "ENCRYPTION": true, "CONNECTION": true, "UNION": true,
}

func needsMoreRights(a parser.Action) string {
	switch a.Kind {
	case parser.TableOption:
		if !plainOptions[firstWord(a.Text)] {
			return "it sets the table option " + firstWord(a.Text)
		}
	case parser.Engine:
		if !strings.EqualFold(a.Value, "InnoDB") {
			return "it changes the storage engine"
		}
	case parser.AddColumn, parser.ChangeColumn, parser.ModifyColumn, parser.AlterColumnDefault,
		parser.PartitionBy, parser.AddIndex, parser.AddUnique, parser.AddPrimary, parser.AddCheck:
		for _, w := range wordsOf(a.Text) {
			if whose[strings.ToUpper(w)] || strings.HasPrefix(w, "@") {
				return "it uses " + strings.ToUpper(w) + ", which depends on who runs it"
			}
		}
	}
	return ""
}

func firstWord(text string) string {
	if w := wordsOf(text); len(w) > 0 {
		return strings.ToUpper(w[0])
	}
	return ""
}

// wordsOf lists the unquoted words of a clause. Strings and quoted names are
// passed over, but only where nothing in the text could make us mistake code for
// a string: a quote in a comment or between double quotes, or a backslash, whose
// meaning is the sql_mode's. Then all words count, which errs to the safe side.
func wordsOf(text string) []string {
	plain := !strings.ContainsAny(text, "\"\\#") && !strings.Contains(text, "/*") && !strings.Contains(text, "--")
	var words []string
	from := -1
	for i := 0; i <= len(text); i++ {
		var c byte
		if i < len(text) {
			c = text[i]
		}
		if c == '_' || c == '$' || c == '@' || c >= 0x80 || '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z' {
			if from < 0 {
				from = i
			}
			continue
		}
		if from >= 0 {
			words = append(words, text[from:i])
			from = -1
		}
		if plain && (c == '\'' || c == '`') {
			for i++; i < len(text) && text[i] != c; i++ {
			}
		}
	}
	return words
}
