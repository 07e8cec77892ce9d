package deployment

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"
)

const root = "../.."

// pages are all that is written for people, with their texts.
func pages(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/decisions/*.md"} {
		files, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			text, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			found[f] = string(text)
		}
	}
	if len(found) < 40 {
		t.Fatalf("%d pages were found", len(found))
	}
	return found
}

// anchor is what GitHub makes of a heading.
func anchor(heading string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ', r == '-':
			return '-'
		case unicode.IsLetter(r), unicode.IsDigit(r), r == '_':
			return unicode.ToLower(r)
		}
		return -1
	}, strings.TrimSpace(heading))
}

// Links within the repository lead to a file that is there, and to a heading of it.
func TestLinks(t *testing.T) {
	all := pages(t)
	link, heading := regexp.MustCompile(`\]\(([^)\s]+)\)`), regexp.MustCompile(`(?m)^#+ (.*)$`)
	n := 0
	for page, text := range all {
		for _, l := range link.FindAllStringSubmatch(text, -1) {
			if strings.Contains(l[1], "://") {
				continue
			}
			n++
			path, fragment, _ := strings.Cut(l[1], "#")
			to := page
			if path != "" {
				to = filepath.Join(filepath.Dir(page), path)
			}
			if _, err := os.Stat(to); err != nil {
				t.Errorf("%s: the link %s leads nowhere", page, l[1])
				continue
			}
			if fragment == "" {
				continue
			}
			there := false
			for _, h := range heading.FindAllStringSubmatch(all[to], -1) {
				there = there || anchor(h[1]) == fragment
			}
			if !there {
				t.Errorf("%s: there is no heading for %s", page, l[1])
			}
		}
	}
	if n < 100 {
		t.Errorf("%d links were found", n)
	}
}

// operating.md's table has every flag of serve and no other, with its default.
func TestTableOfFlags(t *testing.T) {
	text := pages(t)[filepath.Join(root, "docs/operating.md")]
	begin := strings.Index(text, "\n| flag | default |")
	if begin < 0 {
		t.Fatal("the table is not there")
	}
	table, _, _ := strings.Cut(text[begin+1:], "\n\n")
	known, told := flags(t), map[string]bool{}
	for _, line := range strings.Split(table, "\n")[2:] {
		cells := strings.Split(line, "|")
		if len(cells) < 4 {
			t.Fatalf("no row: %s", line)
		}
		for _, f := range regexp.MustCompile("`--([a-z-]+)`").FindAllStringSubmatch(cells[1], -1) {
			told[f[1]] = true
			want, ok := known[f[1]]
			if !ok {
				t.Errorf("there is no flag --%s", f[1])
			}
			// 24h is 24h0m0s, as Go writes it.
			if got := strings.TrimSpace(cells[2]); want != "" && got != want && !strings.HasPrefix(want, got+"0") {
				t.Errorf("--%s: the default is %s, the table has %q", f[1], want, got)
			}
		}
	}
	for f := range known {
		if !told[f] && f != "config" {
			t.Errorf("--%s is not in the table", f)
		}
	}
}
