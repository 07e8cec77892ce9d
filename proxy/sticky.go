package proxy

// sticky are the locks on tables that a session keeps without being in a
// transaction: the server's status flags don't show them.
type sticky uint8

const (
	stickyTables  sticky = 1 << iota // LOCK TABLES
	stickyFlush                      // FLUSH TABLES … WITH READ LOCK, FOR EXPORT
	stickyHandler                    // HANDLER … OPEN
	stickyXA                         // XA PREPARE (MySQL shows no flag, but keeps the locks)
	stickyBackup                     // LOCK INSTANCE FOR BACKUP, MariaDB's BACKUP LOCK and STAGE

	stickyAll = stickyBackup<<1 - 1
)

var taking = []struct {
	word string
	lock sticky
}{
	{"LOCK ", stickyTables}, {"FLUSH ", stickyFlush}, {"HANDLER ", stickyHandler},
	{"XA ", stickyXA}, {"BACKUP ", stickyBackup},
}

// after is what is kept after a statement, whether or not it succeeded: too
// much is safe, since a session with such locks is let pass.
func (k sticky) after(text []byte) sticky {
	if severalStatements(text) {
		// Only what is taken counts, not what is given back.
		for _, t := range taking {
			if containsFold(text, t.word) {
				k |= t.lock
			}
		}
		return k
	}
	var buf [16]byte
	switch string(firstWord(&buf, text)) {
	case "LOCK":
		if containsFold(text, "INSTANCE") {
			return k | stickyBackup
		}
		return k | stickyTables
	case "UNLOCK":
		if containsFold(text, "INSTANCE") {
			return k &^ stickyBackup
		}
		return k &^ (stickyTables | stickyFlush)
	case "FLUSH":
		if containsFold(text, "LOCK") || containsFold(text, "EXPORT") {
			return k | stickyFlush
		}
	case "BEGIN", "START":
		return k &^ stickyTables
	case "HANDLER":
		// How many are open isn't counted; only a new session is sure to have none.
		return k | stickyHandler
	case "XA":
		switch {
		case containsFold(text, "PREPARE"):
			return k | stickyXA
		case containsFold(text, "COMMIT"), containsFold(text, "ROLLBACK"):
			return k &^ stickyXA
		}
	case "BACKUP":
		return k | stickyBackup
	}
	return k
}
