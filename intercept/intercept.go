package intercept

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"midflight/ghost"
	"midflight/ghost/plan"
	"midflight/mysqld"
	"midflight/parser"
	"midflight/proxy"
	"midflight/proxy/wire"
	"midflight/schema"
)

// An Interceptor answers schema changes with the engine's help.
type Interceptor struct {
	Flavor  mysqld.Flavor
	Queue   *ghost.Queue
	Trail   Trail       // nil: nobody keeps one
	Observe func(Event) // must not block
}

// Candidate is for proxy.Config.
func Candidate(text []byte, multi bool) bool { return parser.MaybeSchemaChange(text, multi) }

// Intercept is for proxy.Config.
func (i *Interceptor) Intercept(ctx context.Context, c *proxy.Conn, q proxy.Query) error {
	facts, err := ask(ctx, c, i.Flavor)
	if interrupted(err) {
		return c.ReplyErr(asServer(err))
	}
	if asServer(err) != nil { // such as an expired password: the server's own answer will say it
		return c.RelayOriginal(ctx)
	}
	if err != nil {
		return err
	}
	if err := foundAsBefore(ctx, c, facts.found); err != nil {
		return err
	}
	pieces := []string{q.Text}
	if !q.Prepared && c.MultiStatements() {
		pieces = parser.Split(q.Text, facts.mode)
	}
	ours := func(text string) bool {
		s, err := parser.Parse(text, facts.mode)
		return err == nil && s.Kind != parser.Other
	}
	if len(pieces) == 1 {
		if !ours(q.Text) {
			return c.RelayOriginal(ctx)
		}
		_, err := i.change(ctx, c, q.Text, "")
		return err
	}
	return i.several(ctx, c, pieces, ours)
}

// several runs a packet of statements as the server does: one after the other,
// each result but the last announcing another, up to the first error.
// Statements between ours go on together.
func (i *Interceptor) several(ctx context.Context, c *proxy.Conn, pieces []string, ours func(string) bool) error {
	var others strings.Builder
	for n, p := range pieces {
		if ours(p) {
			if others.Len() > 0 {
				failed, err := c.Relay(ctx, others.String(), true)
				if failed != nil || err != nil {
					return err
				}
				others.Reset()
			}
			ok, err := i.change(ctx, c, p, strings.Join(pieces[n+1:], ""))
			if !ok || err != nil {
				return err
			}
			continue
		}
		others.WriteString(p)
	}
	if others.Len() > 0 {
		_, err := c.Relay(ctx, others.String(), false)
		return err
	}
	return nil
}

// change answers one schema change, behind which the client's packet has rest;
// ok is false when the answer is an error.
func (i *Interceptor) change(ctx context.Context, c *proxy.Conn, text, rest string) (ok bool, err error) {
	more := rest != ""
	facts, err := ask(ctx, c, i.Flavor) // an earlier statement of the packet may have changed them
	if interrupted(err) {
		return false, c.ReplyErr(asServer(err))
	}
	if err != nil {
		return false, err
	}
	s, err := parser.Parse(text, facts.mode)
	if err != nil {
		return i.misspelt(ctx, c, facts, text+rest)
	}
	if s.Kind.Direct() && rest == "" { // says it itself
		return i.forward(ctx, c, facts, s, more, handed{reason: directly[s.Kind]})
	}
	// The server's verdict on the syntax. The statement itself is then the best
	// way to give the client that error.
	switch err := c.Prepare(ctx, s.Text); {
	case interrupted(err):
		return false, c.ReplyErr(asServer(err))
	case asServer(err) != nil && asServer(err).Number == errSyntax:
		return i.misspelt(ctx, c, facts, text+rest)
	}
	if s.Kind.Direct() {
		return i.forward(ctx, c, facts, s, more, handed{reason: directly[s.Kind]})
	}
	facts.hinted(s.Hints)
	s, invisible, err := i.invisible(ctx, c, s, facts)
	if err != nil {
		i.refused(ctx, c, facts, s, err)
		return i.refuse(ctx, c, facts, err)
	}
	request, reason, err := i.request(ctx, c, s, facts)
	if err != nil {
		i.refused(ctx, c, facts, s, err)
		return i.refuse(ctx, c, facts, err)
	}
	if reason != "" {
		return i.forward(ctx, c, facts, s, more, handed{reason: reason})
	}
	request.Invisible = invisible
	request.User, request.Host, request.Session = c.User(), c.ClientAddr(), c.ID()
	ticket, err := i.Queue.Submit(ctx, request)
	if err != nil {
		return i.refuse(ctx, c, facts, err)
	}
	i.Observe(Intercepted{c.ID(), ticket.ID, request.Table})
	if facts.async == "1" {
		if err := quiet(ctx, c, facts); err != nil {
			return false, err
		}
		return true, c.ReplyOK(wire.OK{InsertID: uint64(ticket.ID), Info: fmt.Sprintf("Midflight migration: %d", ticket.ID)}, more)
	}
	result, err := i.await(ctx, c, ticket)
	if err != nil {
		return false, err
	}
	if result.Left != "" {
		return i.forward(ctx, c, facts, s, more, handed{result.Left, ticket.ID})
	}
	return i.reply(ctx, c, facts, s, request.Table, result, more)
}

// request makes the engine's order of a statement, or gives the reason why the
// server shall run it as it is. The error is for the client.
func (i *Interceptor) request(ctx context.Context, c *proxy.Conn, s parser.Statement, q facts) (r ghost.Request, forward string, err error) {
	strategy, err := plan.ParseStrategy(q.strategy)
	if err != nil {
		return r, "", wrongValue(err)
	}
	cutOver, err := ghost.ParseCutOver(q.cutOver)
	if err != nil {
		return r, "", wrongValue(err)
	}
	if q.async != "" && q.async != "0" && q.async != "1" {
		return r, "", wrongValue(fmt.Errorf("@midflight_async = '%s': want 0 or 1", q.async))
	}
	name := q.full(s.Table)
	switch {
	case q.unlogged != "":
		return r, q.unlogged, nil
	case c.TableLocks():
		return r, "the session holds table locks of its own", nil
	case name.Schema == "":
		return r, "no database is selected", nil
	case q.folded(s.Table.Schema + s.Table.Table):
		return r, "its name has capital letters that the server may read otherwise", nil
	case !q.readable(s.Text + name.Schema): // the engine writes the schema's name into the text
		return r, "the statement is in the character set " + q.setting("character_set_client"), nil
	}
	if reason := AsItIs(s, name, strategy, i.Flavor); reason != "" {
		return r, reason, nil
	}
	forward, err = ordinaryTable(ctx, c, s)
	if forward != "" || err != nil {
		return r, forward, err
	}
	if err := mayAlter(ctx, c, s); err != nil {
		return r, "", err
	}
	return ghost.Request{Statement: s, Table: name, Strategy: strategy, CutOver: cutOver, Settings: q.settings, Account: q.account, Database: q.database, Async: q.async == "1"}, "", nil
}

// AsItIs tells, whatever the session and the table are, why the server shall run a
// statement as it was sent; "": it is the engine's.
func AsItIs(s parser.Statement, on schema.Name, strategy plan.Strategy, f mysqld.Flavor) string {
	switch {
	case s.Kind.Direct():
		return directly[s.Kind]
	case system[strings.ToLower(on.Schema)]:
		return "it is a table of the system's"
	case s.Local && !f.MariaDB:
		return "it is not for the binlog, which needs a privilege of its own"
	}
	return plan.ForwardAsIs(s, strategy)
}

const errSyntax = 1064

var system = map[string]bool{"mysql": true, "sys": true, "information_schema": true, "performance_schema": true, "midflight": true}

// ordinaryTable asks the session for the table: a temporary one hides the
// ordinary one of its name. Where the server has no answer, its error to the
// statement itself is the right one.
func ordinaryTable(ctx context.Context, c *proxy.Conn, s parser.Statement) (forward string, err error) {
	r, err := c.Query(ctx, "SHOW CREATE TABLE "+quoted(s.Table))
	if asServer(err) != nil && !interrupted(err) {
		return "the session can't see the table", nil
	}
	if err != nil {
		return "", err
	}
	if len(r.Columns) != 2 || len(r.Rows) != 1 {
		return "it is not a table", nil
	}
	if strings.HasPrefix(r.Rows[0][1].String, "CREATE TEMPORARY") {
		return itIsTemporary, nil
	}
	return "", nil
}

// mayAlter has the server check the user's privileges by a statement that
// needs the same ones and does nothing; it also commits the session's
// transaction, as the real one would.
func mayAlter(ctx context.Context, c *proxy.Conn, s parser.Statement) error {
	table := quoted(s.Table)
	var probe string
	switch s.Kind {
	case parser.AlterTable:
		probe = "ALTER TABLE " + table
	case parser.CreateIndex, parser.DropIndex: // need INDEX instead of ALTER
		probe = "DROP INDEX `midflight_there_is_no_such_index` ON " + table
	case parser.OptimizeTable: // SELECT and INSERT
		probe = "ANALYZE NO_WRITE_TO_BINLOG TABLE " + table
	}
	_, err := c.Query(ctx, probe)
	if e := asServer(err); e != nil && s.Kind != parser.AlterTable && e.Number == mysqld.ErrCantDropKey {
		// On MariaDB only a statement with a table in it empties SHOW WARNINGS.
		_, err = c.Query(ctx, "SELECT /* midflight */ 1 FROM (SELECT 1) AS one")
	}
	return err
}

func quoted(n parser.Name) string {
	if n.Schema == "" {
		return mysqld.QuoteName(n.Table)
	}
	return mysqld.QuoteTable(n.Schema, n.Table)
}

func asServer(err error) *wire.Err {
	var e *wire.Err
	errors.As(err, &e)
	return e
}

// wrongValue is ER_WRONG_VALUE_FOR_VAR.
func wrongValue(err error) error {
	text := []rune(err.Error())
	return &wire.Err{Number: 1231, State: "42000", Message: string(text[:min(len(text), 3*maxValue)])}
}

// misspelt lets the server say what is wrong. It quotes the text from the
// mistake to the packet's end, so it gets all that is left of the packet.
func (i *Interceptor) misspelt(ctx context.Context, c *proxy.Conn, q facts, text string) (ok bool, err error) {
	i.Observe(Forwarded{Connection: c.ID(), Reason: "the server does not accept its syntax"})
	if err := foundAsBefore(ctx, c, q.found); err != nil {
		return false, err
	}
	_, err = c.RelayAs(ctx, text, false)
	return false, err
}
