package soak

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"

	"midflight/internal/localserver"
	"midflight/internal/rows"
	"midflight/mysqld"
	"midflight/schema"
)

// A judge compares what Midflight has made of the one twin with what the
// server makes of the other.
type judge struct {
	*Site
	Case
	on        [2]schema.Name
	statement string
	before    string // the definition
	original  *schema.Table
	writers   int
	killed    bool // a connection of Midflight's was
	o         *Outcome
	anyNext   bool // the next AUTO_INCREMENT value isn't compared
}

const refusal = "Midflight can't run this online: "

// verdict runs the server's own ALTER. goOn: both have done it.
func (j *judge) verdict(ctx context.Context, got answer, id string) (goOn bool, err error) {
	var e *mysql.MySQLError
	if errors.As(got.err, &e) && strings.HasPrefix(e.Message, refusal) {
		j.o.Classes = append(j.o.Classes, "refused: "+reason(e.Message))
		return false, j.unchanged(ctx, id)
	}
	if got.err != nil && e == nil {
		j.o.find("no answer: %v", got.err)
		return false, nil
	}
	if got.err != nil {
		if err := j.unchanged(ctx, id); err != nil {
			return false, err
		}
	}
	want, err := j.native(ctx)
	if err != nil {
		return false, err
	}
	// docs/limits.md, "Different from the server": LOCK=NONE is honoured by
	// copying where the server would refuse it.
	if n := mysqld.Number(want.err); mysqld.IsAlgorithmRefused(want.err) && mysqld.Number(got.err) != n && strings.Contains(j.statement, "LOCK=NONE") {
		j.o.note("LOCK=NONE honoured, error %d of the server", n)
		if want, err = j.nativeText(ctx, strings.ReplaceAll(j.statement, "LOCK=NONE", "LOCK=DEFAULT")); err != nil {
			return false, err
		}
	}
	// MariaDB sometimes does not find a renamed column in a CHECK or a generated
	// column of its own, until the table is opened anew. (Seen on 10.11.18, on
	// tables that had been written to.)
	if e := want.err; e != nil && mysqld.Number(e) == 1054 && strings.Contains(j.statement, "RENAME COLUMN") && (strings.HasSuffix(e.Error(), "in 'CHECK'") || strings.HasSuffix(e.Error(), "in 'GENERATED ALWAYS AS'")) {
		j.o.note("MariaDB had to open the table anew")
		if _, err := j.direct.ExecContext(ctx, "FLUSH TABLES "+j.on[1].Quoted()); err != nil {
			return false, err
		}
		if want, err = j.native(ctx); err != nil {
			return false, err
		}
	}
	switch {
	case got.err == nil && want.err != nil && j.copiesAll():
		// docs/limits.md, "Different from the server": what needs no copy isn't copied,
		// though a setting asks for it, so nobody reads the rows.
		j.o.Classes = append(j.o.Classes, "a copy that was not needed would have failed")
		return false, nil
	case got.err == nil && want.err != nil:
		j.o.Classes = append(j.o.Classes, "too lenient")
		j.o.find("Midflight has done it; the server says %v", want.err)
		return false, nil
	case got.err != nil && want.err != nil && j.said(got.err, 0) == j.said(want.err, 1):
		j.o.Classes = append(j.o.Classes, fmt.Sprintf("error %d", e.Number))
		if e.Number == 1064 || e.Number == 1105 {
			j.o.note("%.300s: %.200s", j.statement, e.Message)
		}
		return false, nil
	case got.err != nil:
		return j.again(ctx, got, want)
	}
	path := "direct"
	if id != "" {
		p, err := list(ctx, j.direct, "SELECT strategy FROM midflight.migrations WHERE id = "+id)
		if err != nil {
			return false, err
		}
		path = strings.Join(p, "")
	}
	j.o.Classes = append(j.o.Classes, path)
	j.answers(path, got, want)
	if path == "direct" && j.writers > 0 {
		// The server did both; of the numbers that the writers gave back it knows
		// more or less by the moment of its ALTER.
		j.anyNext = true
	}
	return true, errors.Join(j.equal(ctx), j.nothingLeft(ctx))
}

// again: with writers, a bad row may have been there for a moment only. Now that
// nobody writes, Midflight must come to the server's verdict.
func (j *judge) again(ctx context.Context, got, want answer) (goOn bool, err error) {
	first := j.said(got.err, 0)
	// Of two errors the server tells the wrong character set first, Midflight that
	// the transaction is READ ONLY: its check of the user's rights comes first.
	if mysqld.Number(got.err) == 1792 && want.err != nil {
		j.o.Classes = append(j.o.Classes, "error 1792")
		return false, nil
	}
	if strings.Contains(first, "Midflight: ") {
		if !j.killed {
			j.o.Classes = append(j.o.Classes, "gave up")
			j.o.find("Midflight gave up: %v; the server: %v", got.err, want.err)
			return false, nil
		}
		j.o.note("gave up after a kill: %.120s", digits.ReplaceAllString(first, "N"))
	}
	quiet, err := open(ctx, j.addr, j.on[0].Schema, append([]string{"SET @midflight_strategy = '" + j.Strategy + "'"}, j.Settings...))
	if err != nil {
		return false, err
	}
	defer quiet.close()
	limited, cancel := context.WithTimeout(ctx, longEnough)
	defer cancel()
	second := quiet.say(limited, j.statement)
	if j.said(second.err, 0) != j.said(want.err, 1) {
		j.o.Classes = append(j.o.Classes, "another error")
		j.o.find("the error is\n  %s\nwhen nobody writes\n  %s\nthe server's\n  %s", first, j.said(second.err, 0), j.said(want.err, 1))
		return false, nil
	}
	if j.writers == 0 && !j.killed {
		j.o.find("the error is %s at first, and %s the second time", first, j.said(second.err, 0))
	}
	j.o.Classes = append(j.o.Classes, fmt.Sprintf("for a moment: error %d", mysqld.Number(got.err)))
	if second.err != nil {
		return false, nil
	}
	return true, j.equal(ctx)
}

// native is the server's own ALTER of the twin, by a session of the same
// settings.
func (j *judge) native(ctx context.Context) (answer, error) { return j.nativeText(ctx, j.statement) }

func (j *judge) nativeText(ctx context.Context, statement string) (answer, error) {
	s, err := open(ctx, j.server.Addr, j.on[1].Schema, j.Settings)
	if err != nil {
		return answer{}, err
	}
	defer s.close()
	return s.say(ctx, statement), nil
}

var (
	records   = regexp.MustCompile(`Records: [1-9]\d*`)
	digits    = regexp.MustCompile(`\d+`)
	rowNumber = regexp.MustCompile(`\brow \d+`)
	temporary = regexp.MustCompile(`#sql-[a-z0-9_-]+`) // the server's own new table
	entry     = regexp.MustCompile(`(?s)Duplicate entry '.*' for key`)
	value     = regexp.MustCompile(`(?s)(value:? |Invalid JSON text: .* at position .* )'.*' for`)
)

// said is an error without what may differ: the schema's name, and which of
// several bad rows was met first.
//
// docs/limits.md, "Different from the server": "at row N" counts within the rows
// in question.
func (j *judge) said(err error, twin int) string {
	if err == nil {
		return "no error"
	}
	text := rowNumber.ReplaceAllString(err.Error(), "row N")
	text = temporary.ReplaceAllString(text, "#sql")
	text = entry.ReplaceAllString(text, "Duplicate entry '…' for key")
	text = value.ReplaceAllString(text, "$1'…' for")
	return strings.ReplaceAll(text, j.on[twin].Schema, "db")
}

// reason is a refusal's, without names.
func reason(message string) string {
	text := strings.TrimPrefix(message, refusal)
	for _, known := range []string{"has triggers", "ALTER TABLE makes other values", "CHECK constraint", "AUTO_INCREMENT", "no primary key and no unique key", "no unique key of NOT NULL columns", "for which there is no value", "a row can't be carried over"} {
		if strings.Contains(text, known) {
			return known
		}
	}
	return digits.ReplaceAllString(text[:min(len(text), 100)], "N")
}

// unchanged: after a refusal or an error the table is as its twin, and nothing
// is left.
func (j *judge) unchanged(ctx context.Context, id string) error {
	now, err := definition(ctx, j.direct, j.on[0])
	if err != nil {
		return err
	}
	if now != j.before {
		j.o.find("the definition was\n%s\nand is\n%s", j.before, now)
	}
	return errors.Join(j.sameRows(ctx, nil), j.sameTriggers(ctx), j.nothingLeft(ctx))
}

func (j *judge) equal(ctx context.Context) error {
	var text [2]string
	var next [2]uint64
	for i, n := range j.on {
		full, err := schema.CreateStatement(ctx, j.direct, n)
		if err != nil {
			return err
		}
		if m := counter.FindStringSubmatch(full); m != nil {
			fmt.Sscan(m[1], &next[i])
		}
		text[i] = counter.ReplaceAllString(full, "")
	}
	if text[0] != text[1] {
		j.o.find("the definition is\n%s\nthe server makes\n%s", text[0], text[1])
	}
	leaveOut, err := j.timed(ctx)
	if err != nil {
		return err
	}
	if next[0] < next[1] && !j.anyNext && !strings.Contains(j.statement, "NOT NULL AUTO_INCREMENT") {
		j.o.find("AUTO_INCREMENT is %d, the server's %d", next[0], next[1])
	}
	return errors.Join(j.sameRows(ctx, leaveOut), j.sameTriggers(ctx))
}

// timed are added columns that get the time of the ALTER, which is not the same
// for both.
func (j *judge) timed(ctx context.Context) ([]string, error) {
	if slices.ContainsFunc(j.Settings, func(s string) bool { return strings.HasPrefix(s, "SET timestamp") }) {
		return nil, nil
	}
	now, err := schema.Read(ctx, j.direct, j.on[1])
	if err != nil {
		return nil, err
	}
	var names []string
	for _, c := range now.Columns {
		// docs/limits.md, "Different from the server": a row that is changed during the
		// migration gets a later number.
		if _, had := j.original.Column(c.Name); !had && c.AutoInc {
			j.o.numbered = append(j.o.numbered, c.Name)
		}
		if was, had := j.original.Column(c.Name); had && c.Type == "timestamp" && was.Nullable && !c.Nullable { // of a NULL
			names = append(names, c.Name)
		}
		d := strings.ToLower(c.Default)
		if strings.HasPrefix(d, "current_timestamp") && strings.Contains(j.statement, "CURRENT_TIMESTAMP") {
			if _, had := j.original.Column(c.Name); !had || strings.Contains(j.statement, "DROP COLUMN "+q(c.Name)) {
				names = append(names, c.Name)
			}
		}
	}
	return names, nil
}

// maybeStale are columns that MariaDB may have wrong in the table, so that they are right
// only in what is copied (docs/limits.md, "Different from the server").
func (j *judge) maybeStale() (names []string) {
	if j.Case.Flavor != localserver.MariaDB || !slices.ContainsFunc(j.Table.Triggers, func(tr Trigger) bool { return tr.When == "BEFORE UPDATE" && tr.Uses != "" }) {
		return nil
	}
	for _, c := range j.original.Columns {
		if c.Generated {
			names = append(names, c.Name)
		}
	}
	return names
}

func (j *judge) sameRows(ctx context.Context, leaveOut []string) error {
	leaveOut = slices.Concat(leaveOut, j.o.numbered, j.maybeStale())
	ours, err := j.contents(ctx, j.on[0], leaveOut)
	if err != nil {
		return err
	}
	theirs, err := j.contents(ctx, j.on[1], leaveOut)
	if err != nil {
		return err
	}
	if d := rows.Difference(ours, theirs); d != "" {
		j.o.find("%s", d)
	}
	if ours, err = j.audited(ctx, j.on[0]); err != nil {
		return err
	}
	if theirs, err = j.audited(ctx, j.on[1]); err != nil {
		return err
	}
	if d := rows.Difference(ours, theirs); d != "" {
		j.o.find("the triggers' table: %s", d)
	}
	return nil
}

func (j *judge) sameTriggers(ctx context.Context) error {
	ours, err := j.triggers(ctx, j.on[0])
	if err != nil {
		return err
	}
	theirs, err := j.triggers(ctx, j.on[1])
	if err != nil {
		return err
	}
	if !slices.Equal(ours, theirs) {
		j.o.find("the triggers are\n%s\nthe server's\n%s", strings.Join(ours, "\n"), strings.Join(theirs, "\n"))
	}
	return nil
}

// copiesAll: the session wants the server to copy whatever the change.
func (j *judge) copiesAll() bool { return strings.Contains(strings.Join(j.Settings, " "), "alter_") }

// answers compares what the two clients were told.
//
// docs/limits.md, "Different from the server": warnings are counted as of the
// rows when they were first copied, so with writers their number isn't compared;
// SHOW WARNINGS has the first alone, and "at row N" counts within the first chunk.
func (j *judge) answers(path string, got, want answer) {
	ours, theirs := got.info, want.info
	if j.writers > 0 { // where the definition stays, they went on after the swap
		ours = records.ReplaceAllString(strings.SplitN(ours, "  Warnings", 2)[0], "Records: N")
		theirs = records.ReplaceAllString(strings.SplitN(theirs, "  Warnings", 2)[0], "Records: N")
	}
	// The session wants a copy of every table (old_alter_table), Midflight has
	// found a cheaper path: nothing was copied, and it says so.
	if path != "copy" && path != "direct" && j.copiesAll() && records.MatchString(want.info) {
		j.o.note("a copy that was asked for by a setting was not needed")
		theirs = ours
	}
	if ours != theirs {
		j.o.find("the answer is %q, the server's %q", got.info, want.info)
	}
	if a, b := strings.ReplaceAll(strings.Join(got.rows, "\n"), j.on[0].Schema, "db"), strings.ReplaceAll(strings.Join(want.rows, "\n"), j.on[1].Schema, "db"); a != b {
		j.o.find("the result is\n%s\nthe server's\n%s", a, b)
	}
	if j.writers > 0 {
		return
	}
	first := func(list []string, twin int) string {
		if len(list) == 0 {
			return ""
		}
		return j.said(errors.New(list[0]), twin)
	}
	// MESSAGE_TEXT of a condition has 128 characters at most: an end of "..." says
	// that there was more (intercept, signal).
	a, b := first(got.warnings, 0), first(want.warnings, 1)
	if note, ok := strings.CutPrefix(b, "Note "); ok && a == "Warning "+note { // nothing signals a note
		return
	}
	if cut, ok := strings.CutSuffix(a, "..."); ok && len(got.warnings[0]) > 128 {
		if len(want.warnings) > 0 && strings.HasPrefix(j.said(errors.New(strings.ReplaceAll(want.warnings[0], "'", "")), 1), strings.ReplaceAll(cut, "'", "")) {
			return
		}
	}
	if a != b {
		j.o.find("the first warning is %q, the server's %q", a, b)
	}
}

// nothingLeft: only the table, the triggers' table and an old self remain. What
// Midflight clears away after its answer is waited for.
func (j *judge) nothingLeft(ctx context.Context) error {
	var left string
	for until := time.Now().Add(5 * time.Second); ; {
		claimed, err := list(ctx, j.direct, "SELECT table_name FROM midflight.tables WHERE schema_name = ?", j.on[0].Schema)
		if err != nil {
			return err
		}
		there, err := list(ctx, j.direct, "SELECT table_name FROM information_schema.tables WHERE table_schema = ?", j.on[0].Schema)
		if err != nil {
			return err
		}
		scratch, err := list(ctx, j.direct, "SELECT s.schema_name FROM information_schema.schemata s JOIN midflight.migrations m ON s.schema_name IN (CONCAT('_midflight_', m.id), CONCAT('_midflight_', m.id, '_rows')) WHERE m.schema_name = ?", j.on[0].Schema)
		if err != nil {
			return err
		}
		left = strings.Join(scratch, " ")
		for _, t := range there {
			old := slices.Contains(claimed, t) && strings.HasPrefix(t, "_") && strings.HasSuffix(t, "_old")
			if t != j.on[0].Table && t != "soak_audit" && !old {
				left += " " + t
			}
		}
		for _, t := range claimed {
			if !strings.HasSuffix(t, "_old") || !slices.Contains(there, t) {
				left += " claimed " + t
			}
		}
		if left == "" {
			return nil
		}
		if time.Now().After(until) {
			j.o.find("left behind: %s", left)
			return nil
		}
		if !sleep(ctx, 100*time.Millisecond) {
			return ctx.Err()
		}
	}
}
