package intercept

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"

	"midflight/ghost"
	"midflight/mysqld"
	"midflight/parser"
	"midflight/proxy"
	"midflight/proxy/wire"
	"midflight/schema"
)

// reply answers the client with a migration's result.
func (i *Interceptor) reply(ctx context.Context, c *proxy.Conn, q facts, s parser.Statement, t schema.Name, r ghost.Result, more bool) (ok bool, err error) {
	if r.Err != nil {
		return i.refuse(ctx, c, q, r.Err)
	}
	if s.Kind == parser.OptimizeTable {
		return i.optimized(ctx, c, t, more)
	}
	if err := quiet(ctx, c, q); err != nil {
		return false, err
	}
	if r.Warned > 0 {
		if err := showAgain(ctx, c, q, s, r.Warnings); err != nil {
			return false, err
		}
	}
	return true, c.ReplyOK(wire.OK{
		Affected: uint64(r.Records),
		Warnings: uint16(min(r.Warned, math.MaxUint16)),
		Info:     fmt.Sprintf("Records: %d  Duplicates: 0  Warnings: %d", r.Records, r.Warned),
	}, more)
}

// showAgain leaves the warnings in the session's own diagnostics area, where
// SHOW WARNINGS reads them: those of the statement's text come again when it is
// prepared once more, and of others the first can be signaled.
func showAgain(ctx context.Context, c *proxy.Conn, q facts, s parser.Statement, warnings []ghost.Warning) error {
	if err := c.Prepare(ctx, s.Text); err != nil && asServer(err) == nil {
		return err
	}
	r, err := c.Query(ctx, "SHOW COUNT(*) WARNINGS")
	if err != nil {
		return err
	}
	counted := len(r.Rows) == 1 && r.Rows[0][0].String == fmt.Sprint(len(warnings))
	if err := quiet(ctx, c, q); err != nil { // once more: SHOW counts as a question
		return err
	}
	if counted {
		err := c.Prepare(ctx, s.Text)
		if asServer(err) != nil {
			return nil
		}
		return err
	}
	if len(warnings) == 0 || !signalable(warnings[0].Message) {
		return nil // the count in the answer is right; the texts are in midflight.events
	}
	_, err = c.Query(ctx, signal("01000", warnings[0].Code, warnings[0].Message))
	if asServer(err) != nil {
		return nil
	}
	return err
}

// refuse answers with an error. Where it can, the server itself says it on the
// session's connection, so that SHOW WARNINGS shows it there too.
func (i *Interceptor) refuse(ctx context.Context, c *proxy.Conn, q facts, cause error) (ok bool, err error) {
	if e := asServer(cause); e != nil { // the session's own: it has been said there
		return false, c.ReplyErr(e)
	}
	if errors.Is(cause, proxy.ErrServerGone) || mysqld.IsCanceled(cause) {
		return false, cause
	}
	if err := foundAsBefore(ctx, c, q.found); err != nil {
		return false, err
	}
	e := ghost.ErrorFor(cause)
	told := &wire.Err{Number: e.Number, State: e.State, Message: e.Message}
	if signalable(e.Message) {
		// A condition of class 01 or 02 (1265) would be signaled as a warning.
		// SHOW WARNINGS, for which it is, doesn't show the state.
		state := e.State
		if state < "03" {
			state = "HY000"
		}
		_, err := c.Query(ctx, signal(state, e.Number, e.Message))
		if err != nil && asServer(err) == nil {
			return false, err
		}
	}
	return false, c.ReplyErr(told)
}

// signalable: the character set of MESSAGE_TEXT is not ours to know.
func signalable(message string) bool {
	return strings.IndexFunc(message, func(r rune) bool { return r < ' ' || r > '~' }) < 0
}

// maxSignal is what MESSAGE_TEXT takes. Half a text with the right number says
// more to who asks for warnings than no row.
const maxSignal = 128

func signal(state string, number uint16, message string) string {
	if len(message) > maxSignal {
		message = message[:maxSignal-3] + "..."
	}
	return fmt.Sprintf("SIGNAL SQLSTATE '%s' SET MESSAGE_TEXT = %s, MYSQL_ERRNO = %d", state, mysqld.QuoteString(message), number)
}

// optimized is OPTIMIZE TABLE's result set, as InnoDB's recreation gives it.
func (i *Interceptor) optimized(ctx context.Context, c *proxy.Conn, t schema.Name, more bool) (ok bool, err error) {
	name := mysqld.QuoteString(t.String())
	row := func(kind, text string) string {
		return fmt.Sprintf("SELECT %s AS `Table`, 'optimize' AS `Op`, '%s' AS `Msg_type`, '%s' AS `Msg_text`", name, kind, text)
	}
	failed, err := c.RelayAs(ctx, row("note", "Table does not support optimize, doing recreate + analyze instead")+
		" UNION ALL "+row("status", "OK")+" LIMIT 2", more)
	return failed == nil, err
}
