package main

import (
	"fmt"
	"strings"
	"time"
	"unicode"
)

// How numbers, times and other people's text are written for people.

// spell writes a duration by its two largest units: 1 h 12 m, 3.4 s, 120 ms.
func spell(d time.Duration) string {
	unit := func(n time.Duration, name string, rest time.Duration, small string) string {
		if rest == 0 {
			return fmt.Sprintf("%d %s", n, name)
		}
		return fmt.Sprintf("%d %s %d %s", n, name, rest, small)
	}
	const day = 24 * time.Hour
	switch {
	case d < 0:
		return "-" + spell(-d)
	case d == 0:
		return "0 s"
	case d < time.Millisecond:
		return fmt.Sprintf("%d µs", d.Microseconds())
	case d < 10*time.Millisecond:
		return fmt.Sprintf("%.1f ms", d.Seconds()*1e3)
	case d < 999500*time.Microsecond:
		return fmt.Sprintf("%.0f ms", d.Seconds()*1e3)
	case d < 9950*time.Millisecond:
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	if d = d.Round(time.Second); d < time.Minute {
		return fmt.Sprintf("%d s", d/time.Second)
	}
	if d < time.Hour {
		return unit(d/time.Minute, "m", d%time.Minute/time.Second, "s")
	}
	if d = d.Round(time.Minute); d < day {
		return unit(d/time.Hour, "h", d%time.Hour/time.Minute, "m")
	}
	d = d.Round(time.Hour)
	return unit(d/day, "d", d%day/time.Hour, "h")
}

// spellSeconds is spell of what is known to the second only.
func spellSeconds(n int64) string {
	if n < 10 && n >= 0 {
		return fmt.Sprintf("%d s", n)
	}
	return spell(time.Duration(n) * time.Second)
}

// grouped parts thousands by blanks.
func grouped(n int64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + " " + s[i:]
	}
	return s
}

// plural is a number with its noun.
func plural(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return grouped(n) + " " + many
}

// bytes is a size.
func sizeOf(n int64) string {
	switch {
	case n >= 10<<30:
		return grouped(n>>30) + " GiB"
	case n >= 10<<20:
		return grouped(n>>20) + " MiB"
	case n >= 10<<10:
		return grouped(n>>10) + " KiB"
	}
	return grouped(n) + " B"
}

// inUTC is a moment: the columns of midflight.migrations are UTC, and so is what is shown.
func inUTC(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05") }

// tame makes other people's text safe for a terminal, which takes control characters for
// its own, and puts it on one line.
func tame(s string) string {
	return strings.Join(strings.Fields(strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.IsControl(r), unicode.Is(unicode.Cf, r): // Cf: what turns the direction of writing
			return '?'
		}
		return r
	}, strings.ToValidUTF8(s, "?"))), " ")
}

// columns is how wide a text is in a terminal.
func columns(s string) (n int) {
	for _, r := range s {
		n += wide(r)
	}
	return n
}

// wide: East Asian characters take two columns, marks that go over another none.
func wide(r rune) int {
	switch {
	case unicode.In(r, unicode.Mn, unicode.Me):
		return 0
	case r >= 0x1100 && r <= 0x115f, r >= 0x2e80 && r <= 0xa4cf, r >= 0xac00 && r <= 0xd7a3, r >= 0xf900 && r <= 0xfaff,
		r >= 0xfe30 && r <= 0xfe6f, r >= 0xff00 && r <= 0xff60, r >= 0xffe0 && r <= 0xffe6, r >= 0x1f300 && r <= 0x1faff, r >= 0x20000 && r <= 0x3fffd:
		return 2
	}
	return 1
}

// cut shortens a text to n columns.
func cut(s string, n int) string {
	if columns(s) <= n {
		return s
	}
	var b strings.Builder
	left := n - 1
	for _, r := range s {
		if left -= wide(r); left < 0 {
			break
		}
		b.WriteRune(r)
	}
	if n > 0 {
		b.WriteString("…")
	}
	return b.String()
}

// folded breaks a text into lines of at most n columns, at blanks where there are some.
func folded(s string, n int) (lines []string) {
	for _, paragraph := range strings.Split(s, "\n") {
		line := ""
		for _, word := range strings.Fields(paragraph) {
			for columns(word) > n { // no blank will come
				if line != "" {
					lines, line = append(lines, line), ""
				}
				part, room := "", n
				for _, r := range word {
					if room -= wide(r); room < 0 {
						break
					}
					part += string(r)
				}
				lines, word = append(lines, part), word[len(part):]
			}
			switch {
			case line == "":
				line = word
			case columns(line)+1+columns(word) <= n:
				line += " " + word
			default:
				lines, line = append(lines, line), word
			}
		}
		lines = append(lines, line)
	}
	return lines
}

// padded fills up to n columns.
func padded(s string, n int) string { return s + strings.Repeat(" ", max(0, n-columns(s))) }
