package plan

import (
	"fmt"
	"slices"
	"strings"

	"midflight/parser"
	"midflight/schema"
)

// A Path is a way to carry out an ALTER.
type Path string

const (
	Direct   Path = "direct"   // the server runs the statement as it was sent
	Instant  Path = "instant"  // ALGORITHM=INSTANT in the gap
	Metadata Path = "metadata" // in place, and nothing but the definition changes
	InPlace  Path = "inplace"  // ALGORITHM=INPLACE, LOCK=NONE: on request only
	Copy     Path = "copy"     // shadow table
)

// A Strategy is what the user asked for in @midflight_strategy.
type Strategy string

const Auto Strategy = "auto"

// ParseStrategy reads the user's word; "" is auto.
func ParseStrategy(s string) (Strategy, error) {
	switch v := Strategy(strings.ToLower(s)); v {
	case "":
		return Auto, nil
	case Auto, Strategy(Instant), Strategy(InPlace), Strategy(Copy), Strategy(Direct):
		return v, nil
	}
	return "", fmt.Errorf("@midflight_strategy = '%s': want auto, instant, inplace, copy or direct", s)
}

// A Refusal says why Midflight won't run a statement online, and what to do.
// It travels to a MySQL client as error 1846.
type Refusal struct {
	Reason, Hint string
}

func (r *Refusal) Error() string { return strings.TrimRight(r.Reason, ".") + ". " + r.Hint }

// AskDirect is the way out of most refusals.
const AskDirect = "To let the server run it and block the table meanwhile: SET @midflight_strategy = 'direct'"

func refuse(format string, args ...any) *Refusal {
	return &Refusal{Reason: fmt.Sprintf(format, args...), Hint: AskDirect}
}

// A Probe is what the server answered when the ALTER was run on an empty table
// of the same definition.
type Probe struct {
	Instant  bool // ALGORITHM=INSTANT is accepted
	InPlace  bool // ALGORITHM=INPLACE, LOCK=NONE is accepted
	Metadata bool // … and neither rebuilds the table nor builds an index
	Copies   bool // without our help the server would copy the rows, and count them in its answer
	PadsChar bool // PAD_CHAR_TO_FULL_LENGTH
	Strict   bool // the session refuses values that don't fit, where others are cut
}

// A Plan is how the statement will be carried out.
type Plan struct {
	Path   Path
	Reason string
	Asked  bool // the user or his statement wants this path and no other
	// The rest is for Copy.
	Counted bool // see Probe.Copies
	Key     Key
	Columns []Mapping
	// Relaxed: the server itself could do this ALTER without reading the rows,
	// so values that it would no longer accept (zero dates) are carried over.
	Relaxed bool
	// Zoned: expressions of the new table read the user's time zone, and the rows can
	// be copied in it.
	Zoned bool
}

// ForwardAsIs tells, from the statement's form and the user's word alone, that
// the statement isn't ours: the server runs it as it was sent. The reason is ""
// when it is ours.
func ForwardAsIs(s parser.Statement, strategy Strategy) (reason string) {
	switch {
	case strategy == Strategy(Direct):
		return "asked for by @midflight_strategy"
	case len(s.Tables) > 1:
		return "it names several tables"
	case s.Ignore:
		return "it is an ALTER IGNORE, which drops rows"
	case s.SetStatement:
		return "it sets variables for itself"
	case s.Wait:
		return "it limits its own wait for the table"
	case s.Kind == parser.AlterTable && len(s.Actions) == 0:
		return "it changes nothing"
	}
	switch s.Lock {
	case "SHARED", "EXCLUSIVE":
		return "the statement asks for LOCK=" + s.Lock
	}
	switch s.Algorithm {
	case "INPLACE", "NOCOPY":
		return "the statement asks for ALGORITHM=" + s.Algorithm
	}
	for _, a := range s.Actions {
		if why, ok := notOurs[a.Kind]; ok {
			return why
		}
		if a.References { // needs a privilege on the other table
			return "it adds a foreign key"
		}
	}
	return needsMoreRights(s)
}

var notOurs = map[parser.ActionKind]string{
	parser.RenameTable:          "it renames the table",
	parser.PartitionMaintenance: "it is partition maintenance",
	parser.DiscardTablespace:    "it discards the tablespace",
	parser.ImportTablespace:     "it imports a tablespace",
	parser.EnableKeys:           "it enables keys",
	parser.DisableKeys:          "it disables keys",
	parser.SecondaryLoad:        "it loads or unloads a secondary engine",
	parser.AddForeignKey:        "it adds a foreign key",
	parser.DropForeignKey:       "it drops a foreign key",
	parser.Unknown:              "Midflight does not know what it does",
}

// WithoutCopy chooses the paths that the server can do by itself for no
// application's harm; ok is false when the table must be copied.
func WithoutCopy(s parser.Statement, strategy Strategy, p Probe) (Plan, bool, *Refusal) {
	switch {
	case strategy == Strategy(Instant) || s.Algorithm == "INSTANT":
		if !p.Instant {
			return Plan{}, false, refuse("the server can't do this change with ALGORITHM=INSTANT")
		}
		return Plan{Path: Instant, Reason: "asked for, and the server accepts ALGORITHM=INSTANT", Asked: true}, true, nil
	case strategy == Strategy(Copy) || s.Algorithm == "COPY":
		return Plan{}, false, nil
	case p.Instant:
		return Plan{Path: Instant, Reason: "the server accepts ALGORITHM=INSTANT"}, true, nil
	case p.Metadata:
		return Plan{Path: Metadata, Reason: "only the definition changes: no rebuild and no new index"}, true, nil
	case strategy == Strategy(InPlace):
		if !p.InPlace {
			return Plan{}, false, refuse("the server can't do this change with ALGORITHM=INPLACE, LOCK=NONE")
		}
		return Plan{Path: InPlace, Reason: "asked for by @midflight_strategy", Asked: true}, true, nil
	}
	return Plan{}, false, nil
}

// Numbers tells whether rows are numbered as they come: then no two statements
// may write to the shadow at a time.
func (p Plan) Numbers() bool {
	return slices.ContainsFunc(p.Columns, func(m Mapping) bool { return m.Literal == Number })
}

// Renumbers is the column that the statement makes AUTO_INCREMENT: the server
// gives its rows of 0 and NULL new numbers, unless sql_mode has
// NO_AUTO_VALUE_ON_ZERO.
func (p Plan) Renumbers() (column schema.Column, ok bool) {
	for _, m := range p.Columns {
		if m.Literal == FromColumn && m.To.AutoInc && !m.From.AutoInc {
			return m.From, true
		}
	}
	return schema.Column{}, false
}

// Converts tells whether values may come out other than they went in.
func (p Plan) Converts() bool {
	return slices.ContainsFunc(p.Columns, func(m Mapping) bool { return m.Converted && !widened(m) })
}

// widened: the new column holds every value of the old one, so that nobody is
// warned of any.
func widened(m Mapping) bool {
	return m.From.Integer() && m.To.Integer() && holdsIntegers(m.From, m.To) && (m.To.Nullable || !m.From.Nullable)
}

// judged: the column has values that the server checks in place, too. A new
// DATE NOT NULL without a default is a zero date, which NO_ZERO_DATE refuses.
func judged(m Mapping) bool {
	if m.Literal == ImplicitDefault {
		switch m.To.Type {
		case "date", "datetime", "timestamp":
			return true
		}
	}
	return m.Converted
}

// Make plans a copy from original to altered, the definition that the server
// made of the ALTER on an empty table.
func Make(s parser.Statement, original, altered *schema.Table, p Probe, mariaDB bool) (Plan, *Refusal) {
	if r := refuseTable(s, original); r != nil {
		return Plan{}, r
	}
	names, r := newNames(s, original, altered)
	if r != nil {
		return Plan{}, r
	}
	columns, r := mapColumns(original, altered, names, mariaDB)
	if r != nil {
		return Plan{}, r
	}
	for _, c := range altered.Columns {
		if byDefault(c, columns) && computedFromClock(c, clockCalls(s)) {
			return Plan{}, refuse("the default of the new column %s is computed from the time of the statement", c.Name)
		}
	}
	key, r := chooseKey(original, altered, names, p.Strict, slices.ContainsFunc(columns, Mapping.CrossesZones))
	if r != nil {
		return Plan{}, r
	}
	if p.PadsChar && (slices.ContainsFunc(altered.Columns, func(c schema.Column) bool { return c.Generated }) || slices.ContainsFunc(columns, func(m Mapping) bool { return m.Converted && m.From.Type == "char" })) {
		return Plan{}, refuse("sql_mode has PAD_CHAR_TO_FULL_LENGTH, under which a CHAR that is converted, or used by a generated column, is another value")
	}
	for _, m := range columns {
		if m.Converted && otherValues(m.From, m.To) {
			return Plan{}, refuse("ALTER TABLE makes other values of column %s, %s to %s, than a copy would", m.To.Name, m.From.FullType, m.To.FullType)
		}
	}
	return Plan{
		Path: Copy, Reason: "the change reads or rebuilds the table", Counted: p.Copies,
		Key: key, Columns: columns,
		// OPTIMIZE TABLE takes the rows as they are, whatever it does with them.
		Relaxed: (!p.Copies || s.Kind == parser.OptimizeTable) && !slices.ContainsFunc(columns, judged),
	}, nil
}

// BuildsIndex tells whether an index is built, whatever becomes of the table.
func BuildsIndex(s parser.Statement) bool {
	return s.Kind == parser.CreateIndex || slices.ContainsFunc(s.Actions, func(a parser.Action) bool {
		switch a.Kind {
		case parser.AddIndex, parser.AddUnique, parser.AddPrimary, parser.AddFulltext, parser.AddSpatial:
			return true
		}
		return a.Unique || a.Primary
	})
}

// NamesForeignKey: DROP and ALTER CONSTRAINT are by name whatever it is, and a
// foreign key's is left to the server as DROP FOREIGN KEY is.
func NamesForeignKey(s parser.Statement, t *schema.Table) bool {
	return slices.ContainsFunc(s.Actions, func(a parser.Action) bool {
		return (a.Kind == parser.DropConstraint || a.Kind == parser.AlterCheck) && has(t.ForeignKeys, a.Name)
	})
}

func has(names []string, name string) bool {
	return slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, name) })
}

// Untried refuses what can't be tried on a table made LIKE the original, as one
// with foreign keys is: MySQL gives its CHECK constraints other names.
func Untried(s parser.Statement, t *schema.Table, mariaDB bool) *Refusal {
	if mariaDB {
		return nil
	}
	for _, a := range s.Actions {
		switch a.Kind {
		case parser.DropCheck, parser.DropConstraint, parser.AlterCheck:
			if has(t.Checks, a.Name) {
				return refuse("it is about the CHECK constraint %s of a table with foreign keys", a.Name)
			}
		}
	}
	return nil
}

func refuseTable(s parser.Statement, t *schema.Table) *Refusal {
	switch {
	case t.Type != "BASE TABLE":
		return refuse("%s is not an ordinary table but a %s", t.Name, strings.ToLower(t.Type))
	case !strings.EqualFold(t.Engine, "InnoDB"):
		return refuse("%s is stored by %s; Midflight copies InnoDB tables only", t.Name, t.Engine)
	case len(t.ForeignKeys) > 0:
		return refuse("%s has foreign keys (%s)", t.Name, strings.Join(t.ForeignKeys, ", "))
	case len(t.ReferencedBy) > 0:
		return refuse("%s is referred to by foreign keys (%s)", t.Name, strings.Join(t.ReferencedBy, ", "))
	}
	for _, a := range s.Actions {
		switch {
		case a.Kind == parser.SystemVersioning:
			return refuse("it changes system versioning")
		case a.Kind == parser.Engine && !strings.EqualFold(t.Engine, "InnoDB"):
			return refuse("it changes the storage engine")
		}
	}
	return nil
}
