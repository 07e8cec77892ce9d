package main

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// A terminal is where a command writes to. What is no terminal gets neither colours nor
// texts that were cut: a program reads it.
type terminal struct {
	io.Writer
	live          bool // it is one
	width, height int  // 0: no limit
	colours       bool
}

// on finds out what w is. COLUMNS counts where the terminal does not tell.
func on(w io.Writer) terminal {
	t := terminal{Writer: w}
	f, ok := w.(*os.File)
	if !ok {
		return t
	}
	size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return t
	}
	t.live, t.width, t.height = true, int(size.Col), int(size.Row)
	if n, err := strconv.Atoi(os.Getenv("COLUMNS")); err == nil && n > 0 {
		t.width = n
	}
	if t.width == 0 {
		t.width = 80
	}
	t.width = max(t.width, 40) // below that nothing can be read
	_, plain := os.LookupEnv("NO_COLOR")
	t.colours = !plain && os.Getenv("TERM") != "dumb"
	return t
}

// A colour is a terminal's number for one.
type colour int

const (
	plainText colour = 0
	bold      colour = 1
	faint     colour = 2
	red       colour = 31
	green     colour = 32
	yellow    colour = 33
	cyan      colour = 36
)

func (t terminal) in(c colour, s string) string {
	if !t.colours || c == plainText || s == "" {
		return s
	}
	return fmt.Sprintf("\x1b[%dm%s\x1b[0m", c, s)
}

// line writes one, cut to the width.
func (t terminal) line(format string, args ...any) {
	s := fmt.Sprintf(format, args...)
	if t.width > 0 && !strings.Contains(s, "\x1b") {
		s = cut(s, t.width)
	}
	fmt.Fprintln(t, s)
}

// A cell is a text and its colour.
type cell struct {
	text string
	in   colour
}

// A table has columns. When the terminal is too narrow the last is shortened, or where
// too little would be left of it gets lines of its own; then the one called yields gives way.
type table struct {
	head   []string
	yields int
	rows   [][]cell
}

func (b *table) add(cells ...cell) { b.rows = append(b.rows, cells) }

const (
	gapBetween = 2  // columns
	leastLast  = 24 // what the last column needs to be of use
	leastOther = 10
)

// print lays the table out. A column that has nothing to say is left out.
func (b *table) print(t terminal) {
	n := len(b.head)
	widths, says := make([]int, n), make([]bool, n)
	for i, h := range b.head {
		widths[i] = columns(h)
	}
	for _, row := range b.rows {
		for i, c := range row {
			widths[i] = max(widths[i], columns(c.text))
			says[i] = says[i] || c.text != "" && c.text != "-"
		}
	}
	last := n - 1
	total := 0
	for i := range widths {
		if !says[i] && i != 0 {
			widths[i] = -1
			continue
		}
		total += widths[i] + gapBetween
	}
	below := false
	if over := total - gapBetween - t.width; t.width > 0 && over > 0 {
		give := min(over, max(0, widths[last]-leastLast))
		widths[last] -= give
		if over -= give; over > 0 {
			below = true
			over -= gapBetween + widths[last]
			widths[last] = 0
			widths[b.yields] -= min(max(0, over), max(0, widths[b.yields]-leastOther))
		}
	}
	print := func(row []cell) {
		var line strings.Builder
		room := t.width
		for i, c := range row {
			if widths[i] < 0 || below && i == last {
				continue
			}
			text := cut(c.text, widths[i])
			if t.width > 0 {
				text = cut(text, max(0, room))
				room -= widths[i] + gapBetween
			}
			line.WriteString(t.in(c.in, text))
			if i < last {
				line.WriteString(strings.Repeat(" ", widths[i]-min(widths[i], columns(text))+gapBetween))
			}
		}
		fmt.Fprintln(t, strings.TrimRight(line.String(), " "))
	}
	head := make([]cell, n)
	for i, h := range b.head {
		head[i] = cell{h, faint}
	}
	print(head)
	for _, row := range b.rows {
		print(row)
		if c := row[last]; below && c.text != "" {
			indent := strings.Repeat(" ", gapBetween+gapBetween)
			fmt.Fprintln(t, indent+t.in(c.in, cut(c.text, t.width-len(indent))))
		}
	}
}
