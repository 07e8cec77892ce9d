package parser

import "strings"

// addHints reads "midflight: cutover=manual, async". Commas part the pairs, so
// that a value may hold blanks and colons.
func addHints(hints map[string]string, comment string) map[string]string {
	const name = "midflight:"
	s := strings.TrimSpace(comment)
	if len(s) < len(name) || !strings.EqualFold(s[:len(name)], name) {
		return hints
	}
	for _, pair := range strings.Split(s[len(name):], ",") {
		key, value, given := strings.Cut(pair, "=")
		key, value = strings.ToLower(strings.TrimSpace(key)), strings.TrimSpace(value)
		if key == "" {
			continue
		}
		if !given {
			value = "1"
		}
		if hints == nil {
			hints = map[string]string{}
		}
		hints[key] = value
	}
	return hints
}
