package chromium

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"time"
)

// A pipe carries the protocol: JSON messages, each ended by a zero byte; file 3 is read by
// the browser, file 4 written. https://chromedevtools.github.io/devtools-protocol/
type pipe struct {
	out, in *os.File
	ended   chan struct{} // closed when the reader is through

	mu      sync.Mutex // guards what follows
	next    int
	waiting map[int]chan reply
	told    []event // by the browser, unasked
}

type reply struct {
	Result json.RawMessage
	Error  *struct{ Message string }
}

type event struct {
	Session, Method string
	Params          json.RawMessage
}

// patience with an answer.
const patience = 60 * time.Second

func open(cmd *exec.Cmd) (*pipe, error) {
	theirs, out, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	in, said, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd.ExtraFiles = []*os.File{theirs, said}
	err = cmd.Start()
	theirs.Close()
	said.Close()
	if err != nil {
		return nil, fmt.Errorf("start Chromium: %w", err)
	}
	p := &pipe{out: out, in: in, ended: make(chan struct{}), waiting: map[int]chan reply{}}
	go p.read()
	return p, nil
}

// close is for when the browser has ended.
func (p *pipe) close() {
	<-p.ended
	p.out.Close()
	p.in.Close()
}

func (p *pipe) read() {
	defer close(p.ended)
	for messages := bufio.NewReader(p.in); ; {
		text, err := messages.ReadBytes(0)
		if err != nil {
			return
		}
		var m struct {
			ID int
			reply
			SessionID, Method string
			Params            json.RawMessage
		}
		if json.Unmarshal(text[:len(text)-1], &m) != nil {
			continue
		}
		p.mu.Lock()
		if m.ID == 0 {
			p.told = append(p.told, event{m.SessionID, m.Method, m.Params})
		} else if to := p.waiting[m.ID]; to != nil {
			delete(p.waiting, m.ID)
			to <- m.reply
		}
		p.mu.Unlock()
	}
}

// call waits for the answer to a command, of a session or, "", of the browser itself.
func (p *pipe) call(session, method string, params, result any) error {
	answer := make(chan reply, 1)
	p.mu.Lock()
	p.next++
	id := p.next
	p.waiting[id] = answer
	p.mu.Unlock()
	message := map[string]any{"id": id, "method": method}
	if params != nil {
		message["params"] = params
	}
	if session != "" {
		message["sessionId"] = session
	}
	text, err := json.Marshal(message)
	if err != nil {
		return err
	}
	if _, err := p.out.Write(append(text, 0)); err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	select {
	case r := <-answer:
		if r.Error != nil {
			return fmt.Errorf("%s: %s", method, r.Error.Message)
		}
		if result == nil {
			return nil
		}
		return json.Unmarshal(r.Result, result)
	case <-p.ended:
		return errors.New("the browser has ended")
	case <-time.After(patience):
		return fmt.Errorf("%s: no answer in %s", method, patience)
	}
}

// events are those of a session so far.
func (p *pipe) events(session string) (list []event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range p.told {
		if e.Session == session {
			list = append(list, e)
		}
	}
	return list
}
