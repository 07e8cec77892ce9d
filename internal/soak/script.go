package soak

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// Script is the case as a person would type it.
func (c Case) Script() string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("-- seed %d on %s", c.Seed, c.Flavor)
	if len(c.Table.Triggers) > 0 {
		line("%s;", audit)
	}
	line("%s;", c.Table.Create(c.Flavor))
	line("-- rows: %d, of %d owners", c.Rows, max(1, len(c.Writers)))
	if c.Rows <= 20 {
		for _, row := range c.rows() {
			line("INSERT IGNORE INTO %s (%s) VALUES %s;", q(c.Table.Name), names(c.Table.ordinary()), row)
		}
	}
	for _, t := range c.Table.Triggers {
		line("%s;", c.Table.create(t))
	}
	for i, w := range c.Writers {
		way := "around"
		if w.Through {
			way = "through"
		}
		line("-- writer %d, %s Midflight, seed %d, pause %s: %s", i, way, w.Seed, w.Pause, strings.Join(w.Settings, "; "))
	}
	for _, d := range c.Disturbances {
		line("-- after %s: %s (%s)", d.At, d.Kind, d.For)
	}
	line("SET @midflight_strategy = '%s';", c.Strategy)
	if c.Manual {
		line("SET @midflight_cutover = 'manual';")
	}
	for _, s := range c.Settings {
		line("%s;", s)
	}
	for _, a := range c.Alters {
		line("%s;", a.Text(c.Table.Name))
	}
	return b.String()
}

func (t Table) ordinary() []Column {
	var some []Column
	for _, c := range t.Columns {
		if c.Generated == "" {
			some = append(some, c)
		}
	}
	return some
}

// rows are the table's at the start, dealt to the writers.
func (c Case) rows() []string {
	owners := max(1, len(c.Writers))
	src := &source{table: c.Table, r: rand.New(rand.NewPCG(c.Seed, 2))}
	columns := c.Table.ordinary()
	var rows []string
	for i := range c.Rows {
		rows = append(rows, src.row(columns, i%owners*ownRows+i/owners))
	}
	return rows
}
