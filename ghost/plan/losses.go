package plan

import (
	"fmt"
	"slices"
	"strings"

	"midflight/parser"
	"midflight/schema"
)

// Losses tells what no later ALTER brings back: columns that go with their values, and
// conversions that may not keep every value. It goes by the definitions, not by the rows.
func Losses(s parser.Statement, original, altered *schema.Table, mariaDB bool) (losses []string) {
	names, refusal := newNames(s, original, altered)
	if refusal != nil {
		return nil
	}
	for _, from := range original.Columns {
		name := names[fold(from.Name)]
		if name == "" {
			if !from.Generated {
				losses = append(losses, fmt.Sprintf("column %s, %s, is dropped with its values", from.Name, from.FullType))
			}
			continue
		}
		if to, ok := altered.Column(name); ok && !from.Generated && !to.Generated {
			if lost := loses(from, to); lost != "" {
				losses = append(losses, fmt.Sprintf("column %s, %s to %s: %s", to.Name, from.FullType, to.FullType, lost))
			}
		}
	}
	for _, a := range s.Actions {
		if a.Kind == parser.RemovePartitioning {
			losses = append(losses, "the partitions; the rows stay")
		}
	}
	return losses
}

// loses tells what of a column's values the new one can't hold; "": nothing.
func loses(from, to schema.Column) string {
	const refused = " are refused in strict mode, else "
	var lost []string
	switch {
	case from.Integer() && to.Integer():
		if !holdsIntegers(from, to) {
			lost = append(lost, "numbers outside its range"+refused+"become the nearest one in it")
		}
	case texts == family(from) && texts == family(to):
		if from.Charset != to.Charset && !holdsCharset(from, to) {
			lost = append(lost, fmt.Sprintf("characters that %s does not have", to.Charset)+refused+"become '?'")
		}
		if room(to) < room(from) {
			lost = append(lost, "longer texts"+refused+"are cut")
		}
		if to.Type == "char" && from.Type != "char" {
			lost = append(lost, "blanks at the end are not kept")
		}
	case bytes == family(from) && bytes == family(to):
		if room(to) < room(from) {
			lost = append(lost, "longer values"+refused+"are cut")
		}
	case members == family(from) && from.Type == to.Type:
		old, err := from.Members()
		now, errNow := to.Members()
		if err == nil && errNow == nil {
			gone := slices.DeleteFunc(slices.Clone(old), func(m string) bool { return slices.Contains(now, m) })
			if len(gone) > 0 {
				lost = append(lost, "rows with "+strings.Join(quoteAll(gone), ", ")+refused+"become ''")
			}
		}
	case from.Type == "decimal" && to.Type == "decimal":
		if scale(to) < scale(from) {
			lost = append(lost, fmt.Sprintf("digits behind the %s are rounded away", places(scale(to))))
		}
		if length(to)-scale(to) < length(from)-scale(from) || !from.Unsigned() && to.Unsigned() {
			lost = append(lost, "numbers outside its range"+refused+"become the nearest one in it")
		}
	case from.Type == to.Type && (family(from) == moments):
		if to.Precision < from.Precision {
			lost = append(lost, "fractions of a second are rounded away")
		}
	case from.FullType != to.FullType && !reversible(from, to, true) && !(from.Type == "float" && to.Type == "double"):
		lost = append(lost, "values are converted, and what they were does not come back")
	}
	if from.Nullable && !to.Nullable {
		lost = append(lost, "NULLs"+refused+"become the type's empty value")
	}
	return strings.Join(lost, "; ")
}

func places(n int) string {
	if n == 0 {
		return "point"
	}
	return fmt.Sprintf("%d. place", n)
}

func quoteAll(list []string) []string {
	quoted := make([]string, len(list))
	for i, s := range list {
		quoted[i] = "'" + s + "'"
	}
	return quoted
}

// room is how much a text or binary column holds: characters where the type counts them,
// and for a TEXT its bytes.
func room(c schema.Column) int {
	switch strings.TrimSuffix(strings.TrimSuffix(c.Type, "text"), "blob") {
	case "tiny":
		return 1<<8 - 1
	case "":
		return 1<<16 - 1
	case "medium":
		return 1<<24 - 1
	case "long":
		return 1<<32 - 1
	}
	return length(c)
}
