package ghost

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"midflight/schema"
)

// tellPrepared writes into the history, once, which prepared statements are going
// to have other result columns. The server prepares them anew by itself, and says
// so to the client with the next answer; but not every program looks. It is for
// people: what can't be found out is left out.
func (r *run) tellPrepared(ctx context.Context) {
	if r.told {
		return
	}
	r.told = true
	altered, err := schema.Read(ctx, r.DB, r.scratch.table)
	if err != nil || slices.Equal(selected(r.original), selected(altered)) {
		return
	}
	names, err := closure(ctx, r.DB, r.request.Table)
	if err != nil {
		return
	}
	if list := r.Door.Prepared(names); len(list) > 0 {
		r.log(ctx, "%s", describePrepared(list))
	}
}

// selected are the columns of SELECT *.
func selected(t *schema.Table) []string {
	var names []string
	for _, c := range t.Columns {
		if !c.Invisible {
			names = append(names, c.Name)
		}
	}
	return names
}

// What is shown of a list of prepared statements at most.
const (
	maxShown     = 5
	maxShownText = 200
)

// describePrepared shows those first that may name no columns.
func describePrepared(list []Prepared) string {
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(a, b Prepared) int {
		star, other := strings.Contains(a.Text, "*"), strings.Contains(b.Text, "*")
		switch {
		case star == other:
			return 0
		case star:
			return -1
		}
		return 1
	})
	var b strings.Builder
	if len(list) == 1 {
		b.WriteString("1 prepared statement on the table is open; the server prepares it anew, its result columns may change: ")
	} else {
		fmt.Fprintf(&b, "%d prepared statements on the table are open; the server prepares them anew, their result columns may change: ", len(list))
	}
	for i, p := range list[:min(maxShown, len(list))] {
		if i > 0 {
			b.WriteString("; ")
		}
		b.WriteString(shortened(p.Text))
		b.WriteString(" (" + describePreparers(p) + ")")
	}
	if n := len(list) - maxShown; n > 0 {
		fmt.Fprintf(&b, "; and %d more", n)
	}
	return b.String()
}

func describePreparers(p Prepared) string {
	names := make([]string, len(p.Some))
	for i, s := range p.Some {
		names[i] = fmt.Sprintf("%d of %s@%s", s.Connection, s.User, s.Host)
	}
	text := "connection " + strings.Join(names, ", ")
	if n := p.Sessions - len(p.Some); n > 0 {
		text += fmt.Sprintf(" and %d more", n)
	}
	return text
}

// shortened is a text on one line. It is in its client's character set, whatever
// that is.
func shortened(text string) string {
	line := []rune(strings.Join(strings.Fields(strings.ToValidUTF8(text, "?")), " "))
	if len(line) > maxShownText {
		return string(line[:maxShownText]) + "…"
	}
	return string(line)
}
