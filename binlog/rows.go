package binlog

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"midflight/schema"
)

// The row event decoder is our own: only key columns are decoded, values of
// other columns and rows of other tables are stepped over, so no type that we
// don't know (of a table that isn't ours, above all) can stop the stream.

// A watched is a Watch prepared for decoding.
type watched struct {
	name  schema.Name
	table *schema.Table
	key   []schema.Column
	// at gives the index in key for a column's position, -1 for the others. It is
	// as long as the row images.
	at []int
}

func newWatched(w Watch) (*watched, error) {
	d := &watched{name: w.Table.Name, table: w.Table, key: w.Key, at: make([]int, len(w.Table.Columns)+hiddenColumns(w.Table))}
	for i := range d.at {
		d.at[i] = -1
	}
	if len(w.Key) == 0 {
		return nil, fmt.Errorf("watch %s: no key", d.name)
	}
	for i, c := range w.Key {
		if c.Position < 0 || c.Position >= len(w.Table.Columns) {
			return nil, fmt.Errorf("watch %s: key column %s has position %d of %d", d.name, c.Name, c.Position, len(d.at))
		}
		if !supported(c) {
			return nil, &UnsupportedKeyError{d.name, c.Name, c.FullType}
		}
		d.at[c.Position] = i
	}
	return d, nil
}

// hiddenColumns at the end of the images are not in the catalogue: MariaDB keeps
// a hash for each unique key that is too long for a tree.
func hiddenColumns(t *schema.Table) int {
	n := 0
	for _, k := range t.Keys {
		if k.Unique && k.Type == "HASH" && !strings.EqualFold(t.Engine, "MEMORY") {
			n++
		}
	}
	return n
}

// A tableMap is a TABLE_MAP event: what the row events that follow refer to.
type tableMap struct {
	raw   []byte
	name  schema.Name
	types []byte
	metas []uint16
	json  int
	watch *watched // nil: nobody wants its rows
	fence bool
	err   error // why they can't be read
}

// A tableSet knows which tables are wanted, and the table maps seen.
type tableSet struct {
	watched map[schema.Name]*watched
	fences  schema.Name
	maps    map[uint64]*tableMap
}

func newTableSet(watch []Watch, fences schema.Name) (*tableSet, error) {
	s := &tableSet{watched: map[schema.Name]*watched{}, fences: fences, maps: map[uint64]*tableMap{}}
	for _, w := range watch {
		d, err := newWatched(w)
		if err != nil {
			return nil, err
		}
		s.watched[d.name] = d
	}
	return s, nil
}

// forget drops all table maps: ids are only unique until the server restarts.
func (s *tableSet) forget() { clear(s.maps) }

// tableMap reads a TABLE_MAP event's body.
func (s *tableSet) tableMap(b []byte) error {
	id := little(b[:6])
	if m, ok := s.maps[id]; ok && bytes.Equal(m.raw, b) {
		return m.err
	}
	if len(s.maps) >= 4096 { // ids grow for ever
		s.forget()
	}
	m := &tableMap{raw: slices.Clone(b)}
	b = b[8:]
	n := int(b[0])
	m.name.Schema, b = string(b[1:1+n]), b[n+2:]
	n = int(b[0])
	m.name.Table, b = string(b[1:1+n]), b[n+2:]
	s.maps[id] = m
	m.watch, m.fence = s.watched[m.name], m.name == s.fences && m.name != (schema.Name{})
	if m.watch == nil && !m.fence {
		return nil
	}
	columns, w := lenenc(b)
	b = b[w:]
	m.types, b = slices.Clone(b[:columns]), b[columns:]
	_, w = lenenc(b)
	if m.err = m.readMetas(b[w:]); m.err == nil && m.watch != nil {
		m.err = m.check()
	}
	return m.err
}

func (m *tableMap) readMetas(b []byte) error {
	m.metas = make([]uint16, len(m.types))
	for i, t := range m.types {
		switch t {
		case typeString, typeDecimal, typeEnum, typeSet: // two bytes, not a number
			m.metas[i], b = uint16(b[0])<<8|uint16(b[1]), b[2:]
		case typeVarchar, typeVarString, typeBit, typeVarcharPacked:
			m.metas[i], b = uint16(b[0])|uint16(b[1])<<8, b[2:]
		case typeBlob, typeTinyBlob, typeMediumBlob, typeLongBlob, typeBlobPacked, typeGeometry, typeVector, typeJSON,
			typeFloat, typeDouble, typeTime2, typeDatetime2, typeTimestamp2:
			m.metas[i], b = uint16(b[0]), b[1:]
		case typeTiny, typeShort, typeLong, typeLongLong, typeInt24, typeNull,
			typeTimestamp, typeDate, typeTime, typeDatetime, typeYear, typeNewDate:
		default:
			// Without knowing the width of its metadata, what follows can't be read.
			return &TableChangedError{m.name, fmt.Sprintf("column %d has unknown type %d", i+1, t)}
		}
		if t == typeJSON {
			m.json++
		}
	}
	return nil
}

// check compares the event with the definition that the consumer knows.
func (m *tableMap) check() error {
	w := m.watch
	if len(m.types) != len(w.at) {
		return &TableChangedError{w.name, fmt.Sprintf("%d columns where %d were known", len(m.types), len(w.at))}
	}
	for _, c := range w.key {
		if t, _ := realType(m.types[c.Position], m.metas[c.Position]); !slices.Contains(wireTypes[c.Type], t) {
			return &TableChangedError{w.name, fmt.Sprintf("key column %s is %s, its events have type %d", c.Name, c.FullType, t)}
		}
	}
	for i, c := range w.table.Columns {
		// MariaDB's mysql56_temporal_format=OFF: the width of a fraction isn't told.
		if t := m.types[i]; c.Precision > 0 && (t == typeTime || t == typeDatetime || t == typeTimestamp) {
			return &TableChangedError{w.name, fmt.Sprintf("column %s is stored in the temporal format of MySQL 5.5", c.Name)}
		}
	}
	return nil
}

// Row events by type.
type rowKind int

const (
	insertRows rowKind = iota
	updateRows
	deleteRows
)

// A rowsEvent is how the rows of an event type are laid out.
type rowsEvent struct {
	kind                     rowKind
	v2, compressed, partials bool
}

var rowsEvents = map[byte]rowsEvent{
	23: {kind: insertRows}, 24: {kind: updateRows}, 25: {kind: deleteRows},
	30: {kind: insertRows, v2: true}, 31: {kind: updateRows, v2: true}, 32: {kind: deleteRows, v2: true},
	39: {kind: updateRows, v2: true, partials: true},
	// MariaDB, log_bin_compress.
	166: {kind: insertRows, compressed: true}, 167: {kind: updateRows, compressed: true}, 168: {kind: deleteRows, compressed: true},
	169: {kind: insertRows, v2: true, compressed: true}, 170: {kind: updateRows, v2: true, compressed: true}, 171: {kind: deleteRows, v2: true, compressed: true},
}

// unwanted: nobody wants the rows of the table that the row events call id.
func (s *tableSet) unwanted(id uint64) bool {
	if id == dummyTableID {
		return true
	}
	m, ok := s.maps[id]
	return ok && m.watch == nil && !m.fence
}

// rows adds what a row event did to tx.
func (s *tableSet) rows(t rowsEvent, b []byte, tx *Tx) error {
	id := little(b[:6])
	if s.unwanted(id) {
		return nil
	}
	m, ok := s.maps[id]
	if !ok {
		return fmt.Errorf("no table map of id %d", id)
	}
	b = b[8:]
	if t.v2 {
		b = b[little(b[:2]):] // extra data, its own two bytes included
	}
	n, w := lenenc(b)
	b = b[w:]
	if int(n) != len(m.types) {
		return fmt.Errorf("rows of %s have %d columns, their table map %d", m.name, n, len(m.types))
	}
	size := bitmapSize(len(m.types))
	first := image{columns: bitmap(b[:size])}
	b = b[size:]
	second := first
	if t.kind == updateRows {
		second = image{columns: bitmap(b[:size]), partials: t.partials}
		b = b[size:]
	}
	first.present, second.present = first.columns.count(len(m.types)), second.columns.count(len(m.types))
	if t.compressed {
		var err error
		if b, err = inflate(b); err != nil {
			return fmt.Errorf("decompress rows of %s: %w", m.name, err)
		}
	}
	if m.fence {
		return m.fences(t.kind, first, second, b, tx)
	}
	return m.changes(t.kind, first, second, b, tx)
}

func (m *tableMap) changes(kind rowKind, first, second image, b []byte, tx *Tx) error {
	w := m.watch
	before, after := make([]string, len(w.key)), make([]string, len(w.key))
	// In a MINIMAL image a row of nothing but defaults has no column, and no byte. There
	// can be one of them only, since keys are unique.
	nothing := len(b) == 0 && kind == insertRows && first.present == 0
	for len(b) > 0 || nothing {
		left := len(b)
		c := Change{Table: w.name}
		var err error
		if kind != insertRows {
			if b, err = m.key(first, b, before); err != nil {
				return err
			}
			if c.Before, err = w.makeKey(before, nil); err != nil {
				return err
			}
		}
		switch kind {
		case insertRows:
			if b, err = m.key(first, b, after); err != nil {
				return err
			}
			w.defaults(after)
			if c.After, err = w.makeKey(after, nil); err != nil {
				return err
			}
		case updateRows:
			if b, err = m.key(second, b, after); err != nil {
				return err
			}
			// A column that isn't in the after image has not changed.
			if c.After, err = w.makeKey(after, before); err != nil {
				return err
			}
			if *c.After == *c.Before {
				c.After = c.Before
			}
		}
		tx.Changes = append(tx.Changes, c)
		if len(b) == left && !nothing {
			return m.endless(left)
		}
		nothing = false
	}
	return nil
}

// endless: rows that take no bytes leave some behind.
func (m *tableMap) endless(left int) error {
	return fmt.Errorf("rows of %s: %d bytes behind rows without columns", m.name, left)
}

// makeKey: literals, with those that the image lacks taken from the other one.
func (w *watched) makeKey(literals, other []string) (*Key, error) {
	for i, l := range literals {
		if l != "" {
			continue
		}
		if other == nil {
			return nil, &MissingKeyColumnError{w.name, w.key[i].Name}
		}
		literals[i] = other[i]
	}
	k := MakeKey(literals...)
	return &k, nil
}

// defaults fills in what a MINIMAL image of an inserted row leaves out: columns
// that the INSERT did not name and whose default is a constant. Only integers
// read the same in both servers' catalogues; others remain missing.
func (w *watched) defaults(literals []string) {
	for i, l := range literals {
		c := w.key[i]
		if l != "" || !c.Integer() {
			continue
		}
		text := c.Default
		if !c.HasDefault {
			text = "0" // without strict mode
		}
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			literals[i] = strconv.FormatInt(n, 10)
		} else if n, err := strconv.ParseUint(text, 10, 64); err == nil {
			literals[i] = strconv.FormatUint(n, 10)
		}
	}
}

// An image describes the before or after images of a row event.
type image struct {
	columns  bitmap // which columns they have
	present  int    // how many those are
	partials bool   // JSON columns may come as differences
}

// walk calls visit for every column that an image has and that isn't NULL, and
// returns what follows the image.
func (m *tableMap) walk(i image, b []byte, visit func(column int, value []byte) error) ([]byte, error) {
	if i.partials {
		// One bit for each JSON column follows, in the image or not. A difference
		// has its length before it like a document, so nothing else changes.
		options, w := lenenc(b)
		b = b[w:]
		if options&partialJSONUpdates != 0 {
			b = b[bitmapSize(m.json):]
		}
	}
	nulls := bitmap(b[:bitmapSize(i.present)])
	b = b[bitmapSize(i.present):]
	seen := 0
	for c, t := range m.types {
		if !i.columns.has(c) {
			continue
		}
		seen++
		if nulls.has(seen - 1) {
			continue
		}
		n, err := size(b, t, m.metas[c])
		if err != nil {
			return nil, fmt.Errorf("row of %s, column %d: %w", m.name, c+1, err)
		}
		if err := visit(c, b[:n]); err != nil {
			return nil, fmt.Errorf("row of %s: %w", m.name, err)
		}
		b = b[n:]
	}
	return b, nil
}

// key fills in the literals of one image's key columns, "" where it has none.
func (m *tableMap) key(i image, b []byte, literals []string) ([]byte, error) {
	clear(literals)
	return m.walk(i, b, func(column int, data []byte) error {
		at := m.watch.at[column]
		if at < 0 {
			return nil
		}
		c := m.watch.key[at]
		v, err := value(c, data, m.types[column], m.metas[column])
		if err != nil {
			return err
		}
		literals[at], err = Literal(c, v)
		return err
	})
}

// fences collects the tokens of the rows written: the first CHAR or VARCHAR
// column of the marker table.
func (m *tableMap) fences(kind rowKind, first, second image, b []byte, tx *Tx) error {
	token := slices.IndexFunc(m.types, func(t byte) bool { return t == typeVarchar || t == typeString || t == typeVarString })
	if token < 0 {
		return &TableChangedError{m.name, "no CHAR or VARCHAR column for the token"}
	}
	for len(b) > 0 {
		left := len(b)
		var err error
		if kind == updateRows {
			if b, err = m.walk(first, b, func(int, []byte) error { return nil }); err != nil {
				return err
			}
		}
		b, err = m.walk(second, b, func(column int, data []byte) error {
			if column != token || kind == deleteRows {
				return nil
			}
			if _, length := realType(m.types[column], m.metas[column]); length > 255 {
				data = data[1:]
			}
			tx.Fences = append(tx.Fences, string(data[1:]))
			return nil
		})
		if err != nil {
			return err
		}
		if len(b) == left {
			return m.endless(left)
		}
	}
	return nil
}
