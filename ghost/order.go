package ghost

import (
	"encoding/json"
	"fmt"

	"midflight/ghost/plan"
	"midflight/mysqld"
	"midflight/parser"
	"midflight/schema"
)

// An order is a Request as the store keeps it: whoever takes the migration over reads
// the statement as the session would have meant it.
type order struct {
	Text      []byte // in the session's character set
	Table     schema.Name
	Strategy  plan.Strategy
	CutOver   string
	Settings  []Setting
	Invisible []string
	Reveals   []string
	Account   string `json:",omitempty"` // who attaches is the same
}

// Encode is what DecodeRequest reads. Of who sent the statement it has the account alone.
func (r Request) Encode() ([]byte, error) {
	b, err := json.Marshal(order{[]byte(r.Statement.Text), r.Table, r.Strategy, r.CutOver.String(), r.Settings, r.Invisible, r.Reveals, r.Account})
	return b, wrap(err, "record the statement with its session's settings")
}

// DecodeRequest reads what Encode has made, on the same kind of server. Nobody waits for
// the answer on the session any more.
func DecodeRequest(b []byte, f mysqld.Flavor) (Request, error) {
	var o order
	if err := json.Unmarshal(b, &o); err != nil {
		return Request{}, fmt.Errorf("read the recorded statement: %w", err)
	}
	cutOver, err := ParseCutOver(o.CutOver)
	if err != nil {
		return Request{}, fmt.Errorf("read the recorded statement: %w", err)
	}
	r := Request{Table: o.Table, Strategy: o.Strategy, CutOver: cutOver, Settings: o.Settings, Invisible: o.Invisible, Reveals: o.Reveals, Account: o.Account, Async: true}
	if len(o.Text) == 0 { // of a wish to reveal columns, which makes its own
		return r, nil
	}
	mode := parser.ParseMode(settingOf(o.Settings, "sql_mode"))
	mode.MariaDB, mode.Version, mode.Charset = f.MariaDB, f.Version, settingOf(o.Settings, "character_set_client")
	if r.Statement, err = parser.Parse(string(o.Text), mode); err != nil {
		return Request{}, fmt.Errorf("read the recorded statement: %w", err)
	}
	return r, nil
}
