package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// A screen is where the demo prints: lines that stay and, on a terminal, a
// block of lines below them that is drawn again and again.
type screen struct {
	w        io.Writer
	terminal bool
	colored  bool
	block    int       // lines of the block as it stands
	last     time.Time // a plain line of progress was printed
}

func newScreen(w io.Writer) *screen {
	s := &screen{w: w}
	if f, ok := w.(*os.File); ok {
		info, err := f.Stat()
		s.terminal = err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("TERM") != "dumb"
	}
	s.colored = s.terminal && os.Getenv("NO_COLOR") == ""
	return s
}

func (s *screen) paint(code, text string) string {
	if !s.colored {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

func (s *screen) bold(text string) string  { return s.paint("1", text) }
func (s *screen) dim(text string) string   { return s.paint("2", text) }
func (s *screen) red(text string) string   { return s.paint("1;31", text) }
func (s *screen) green(text string) string { return s.paint("1;32", text) }
func (s *screen) blue(text string) string  { return s.paint("36", text) }

// good paints a count that should be zero.
func (s *screen) good(n int64, text string) string {
	if n == 0 {
		return s.green(text)
	}
	return s.red(text)
}

// say prints a line that stays, in the place of the block.
func (s *screen) say(format string, args ...any) {
	io.WriteString(s.w, s.erase()+fmt.Sprintf(format, args...)+"\n")
}

// redraw draws the block; only on a terminal.
func (s *screen) redraw(lines ...string) {
	if !s.terminal {
		return
	}
	var b strings.Builder
	b.WriteString(s.erase())
	for _, line := range lines {
		b.WriteString(line + "\n")
	}
	io.WriteString(s.w, b.String())
	s.block = len(lines)
}

// keep leaves the block where it is.
func (s *screen) keep() { s.block = 0 }

func (s *screen) erase() string {
	if s.block == 0 {
		return ""
	}
	up := fmt.Sprintf("\x1b[%dA\r\x1b[J", s.block)
	s.block = 0
	return up
}

// item is a line of the beginning: what there is now.
func (s *screen) item(name, text string) string {
	return "  " + s.dim(fmt.Sprintf("%-13s", name)) + text
}

// A view is what there is to see at one moment of the migration.
type view struct {
	elapsed time.Duration
	state   migration
	speed   float64 // rows/s
	pulse   pulse
}

const barWidth = 44

func (s *screen) bar(progress float64) string {
	full := min(max(int(progress*barWidth), 0), barWidth)
	return s.blue(strings.Repeat("━", full)) + s.dim(strings.Repeat("─", barWidth-full))
}

// show shows a view: the block on a terminal, else a line each second.
func (s *screen) show(v view) {
	m := v.state
	if !s.terminal {
		s.plain(v)
		return
	}
	rows := fmt.Sprintf("%9s of %s rows", thousands(m.copied), thousands(m.estimate))
	if m.phase == "copying" {
		rows += fmt.Sprintf("   %7s rows/s", thousands(int64(v.speed)))
		if m.eta >= 0 {
			rows += fmt.Sprintf("   %s left", time.Duration(m.eta)*time.Second)
		}
	}
	if m.waitingFor != "" {
		rows += "   waits for " + m.waitingFor
	}
	s.redraw(
		"",
		fmt.Sprintf("  %-13s%s %3.0f %%  %s", m.phaseText(), s.bar(m.done()), 100*m.done(), seconds(v.elapsed)),
		clip(fmt.Sprintf("  %-13s%s", "", rows)),
		"",
		s.item("application", fmt.Sprintf("%5s transactions/s  %5s reads/s", thousands(int64(v.pulse.transactions)), thousands(int64(v.pulse.reads)))),
		s.item("worst answer", fmt.Sprintf("%8s in the last second  %8s so far", ms(v.pulse.worst), ms(v.pulse.worstEver))),
		s.item("errors", s.good(int64(v.pulse.errors), fmt.Sprintf("%5s", thousands(int64(v.pulse.errors))))),
	)
}

const plainHeader = "    time  phase       rows copied        rows/s  left trx/s reads/s     worst"

func (s *screen) plain(v view) {
	if time.Since(s.last) < time.Second {
		return
	}
	if s.last.IsZero() {
		s.say("")
		s.say("%s", plainHeader)
	}
	s.last = time.Now()
	speed, left := "", ""
	if v.state.phase == "copying" {
		speed = thousands(int64(v.speed))
		if v.state.eta >= 0 {
			left = fmt.Sprintf("%d s", v.state.eta)
		}
	}
	s.say("%8s  %-12s%10s %3.0f%% %8s %5s %5d %7d %9s", seconds(v.elapsed), v.state.phaseText(), thousands(v.state.copied),
		100*v.state.done(), speed, left, v.pulse.transactions, v.pulse.reads, ms(v.pulse.worst))
}

// clip keeps a line in one line of a terminal; it has no colors.
func clip(line string) string {
	if r := []rune(line); len(r) > 79 {
		return string(r[:78]) + "…"
	}
	return line
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }

func ms(d time.Duration) string { return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000) }

// thousands is 1,234,567.
func thousands(n int64) string {
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
