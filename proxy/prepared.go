package proxy

import (
	"cmp"
	"slices"
	"unique"
)

// PreparedOn is a prepared statement that is open.
type PreparedOn struct {
	Text     string
	Sessions int          // in which it is open
	Some     []PreparedBy // of them, by connection id
}

// PreparedBy is a session that has prepared a statement.
type PreparedBy struct {
	ID           uint32
	User, Client string
}

// somePrepared is how many sessions a PreparedOn names.
const somePrepared = 3

// Prepared lists the prepared statements whose text has one of names, those of
// most sessions first. One whose text is not known, or prepared by SQL, is not
// listed.
func (s *Server) Prepared(names []string) []PreparedOn {
	found := map[unique.Handle[string]][]PreparedBy{}
	has := map[unique.Handle[string]]bool{} // many sessions have the same ones
	for _, ses := range s.all() {
		by, texts := ses.prepared()
		for _, h := range texts {
			named, known := has[h]
			if !known {
				text := []byte(h.Value())
				named = slices.ContainsFunc(names, func(n string) bool { return containsName(text, n) })
				has[h] = named
			}
			if named {
				found[h] = append(found[h], by)
			}
		}
	}
	list := make([]PreparedOn, 0, len(found))
	for h, by := range found {
		slices.SortFunc(by, func(a, b PreparedBy) int { return cmp.Compare(a.ID, b.ID) })
		list = append(list, PreparedOn{h.Value(), len(by), by[:min(somePrepared, len(by))]})
	}
	slices.SortFunc(list, func(a, b PreparedOn) int {
		return cmp.Or(cmp.Compare(b.Sessions, a.Sessions), cmp.Compare(a.Text, b.Text))
	})
	return list
}

// prepared is the session's prepared statements, each text once.
func (s *session) prepared() (PreparedBy, []unique.Handle[string]) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var texts []unique.Handle[string]
	if s.aborted || s.serverGone {
		return PreparedBy{}, nil
	}
	seen := map[unique.Handle[string]]bool{}
	for _, st := range s.stmts {
		if st.known() && !seen[st.text] {
			seen[st.text] = true
			texts = append(texts, st.text)
		}
	}
	return PreparedBy{s.id, s.user, s.addr}, texts
}
