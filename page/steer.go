package page

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"

	"midflight/store"
)

// ownHeader is sent by the page's own script. A foreign page can't send it without asking
// us before (CORS), and we never say yes.
const ownHeader = "X-Midflight"

// serveWord says a word to a migration: POST, JSON, and from our own page or from no page.
func (p *Page) serveWord(w http.ResponseWriter, r *http.Request) {
	if why := foreign(r); why != "" {
		http.Error(w, why, http.StatusForbidden)
		return
	}
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind != "application/json" {
		http.Error(w, "send JSON, and say so in Content-Type", http.StatusUnsupportedMediaType)
		return
	}
	said, ok := words[r.PathValue("word")]
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if !ok || err != nil {
		http.NotFound(w, r)
		return
	}
	args, told, err := arguments(said, http.MaxBytesReader(w, r.Body, 4<<10))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), patience)
	defer cancel()
	who := fmt.Sprintf("%s from %s", p.who(r), address(r))
	if err := store.Steer(ctx, p.DB, said.Procedure, id, args, who, fmt.Sprintf("%s on the page by %s%s", said.Past, who, told)); err != nil {
		status, text := refusal(err)
		http.Error(w, text, status)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// foreign says why a request may have been made by another site's page. Browsers say where
// a request comes from; other programs don't.
func foreign(r *http.Request) string {
	if http.NewCrossOriginProtection().Check(r) != nil {
		return "another page has sent this"
	}
	if r.Header.Get(ownHeader) == "" {
		return "the header " + ownHeader + " is missing"
	}
	return ""
}

// arguments are what the procedure takes besides the id, and how the history tells them.
func arguments(said word, body io.Reader) (args []any, told string, err error) {
	var sent struct{ Ratio, Minutes *float64 }
	d := json.NewDecoder(body)
	d.DisallowUnknownFields()
	if err := d.Decode(&sent); err != nil {
		return nil, "", fmt.Errorf("read what was sent: %w", err)
	}
	if said.Procedure != "throttle" {
		if sent.Ratio != nil || sent.Minutes != nil {
			return nil, "", fmt.Errorf("%s takes no ratio and no minutes", said.Procedure)
		}
		return nil, "", nil
	}
	switch {
	case sent.Ratio == nil || *sent.Ratio < 0 || *sent.Ratio > 1:
		return nil, "", errors.New("ratio must be from 0 to 1: the part of the time in which the copy rests")
	case sent.Minutes == nil || *sent.Minutes < 1 || *sent.Minutes > 7*24*60 || *sent.Minutes != float64(int(*sent.Minutes)):
		return nil, "", errors.New("minutes must be from 1 to 10080, a whole number")
	}
	return []any{*sent.Ratio, int(*sent.Minutes)}, fmt.Sprintf(": it rests for %.0f %% of the time, for %.0f min", 100**sent.Ratio, *sent.Minutes), nil
}

// refusal is what the procedure says, or why nobody could be asked.
func refusal(err error) (int, string) {
	var refused store.NotDone
	switch {
	case errors.As(err, &refused):
		return http.StatusConflict, refused.Error()
	case errors.Is(err, store.ErrNoProcedure):
		return http.StatusNotImplemented, err.Error()
	}
	return http.StatusServiceUnavailable, "the server can’t be asked: " + reason(err)
}

func (p *Page) who(r *http.Request) string {
	if p.Who == nil {
		return "somebody"
	}
	return p.Who(r)
}

// address is the other end's; of a unix socket there is none.
func address(r *http.Request) string {
	if r.RemoteAddr == "" || r.RemoteAddr == "@" {
		return "a local socket"
	}
	return r.RemoteAddr
}
