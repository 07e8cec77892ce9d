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

// whose are functions that give another value, or have another effect, under
// another account or on another connection.
var whose = map[string]bool{
	"LOAD_FILE": true, "USER": true, "CURRENT_USER": true, "SESSION_USER": true, "SYSTEM_USER": true,
	"CURRENT_ROLE": true, "ROLES_GRAPHML": true, "CONNECTION_ID": true, "DATABASE": true, "SCHEMA": true,
	"LAST_INSERT_ID": true, "LAST_VALUE": true, "ROW_COUNT": true, "FOUND_ROWS": true,
	"GET_LOCK": true, "RELEASE_LOCK": true, "RELEASE_ALL_LOCKS": true, "IS_FREE_LOCK": true, "IS_USED_LOCK": true,
	"SLEEP": true, "BENCHMARK": true, "NEXTVAL": true, "SETVAL": true, "LASTVAL": true, "SYS_EXEC": true,
	"MASTER_POS_WAIT": true, "SOURCE_POS_WAIT": true, "MASTER_GTID_WAIT": true, "WAIT_FOR_EXECUTED_GTID_SET": true,
	"PS_CURRENT_THREAD_ID": true, "PS_THREAD_ID": true, "CAN_ACCESS_TABLE": true, "STATEMENT_DIGEST": true,
}

// anywhere are words that count without parentheses.
var anywhere = map[string]bool{
	"CURRENT_USER": true, "CURRENT_ROLE": true, "DIRECTORY": true, "TABLESPACE": true, "@": true,
	"NEXTVAL": true, "CURRVAL": true, // of a sequence, in MariaDB's ORACLE mode
}

// needsMoreRights tells why a statement must not run with the engine's account;
// "" when it may.
func needsMoreRights(s parser.Statement) string {
	for _, a := range s.Actions {
		switch a.Kind {
		case parser.TableOption:
			if name := firstWord(a.Text); !plainOptions[name] {
				return "it sets the table option " + name
			}
		case parser.Engine:
			if !strings.EqualFold(a.Value, "InnoDB") {
				return "it changes the storage engine"
			}
		}
	}
	words := s.Words()
	for i, w := range words {
		sequence := w.Text == "VALUE" && i > 0 && (words[i-1].Text == "NEXT" || words[i-1].Text == "PREVIOUS")
		if w.Called && whose[w.Text] || anywhere[w.Text] || sequence {
			return "it uses " + w.Text + ", which depends on who runs it"
		}
	}
	return ""
}

// firstWord is an option's name. Action.Text begins at a token.
func firstWord(text string) string {
	end := strings.IndexFunc(text, func(r rune) bool {
		return r != '_' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	})
	if end < 0 {
		end = len(text)
	}
	return strings.ToUpper(text[:end])
}
