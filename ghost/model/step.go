package model

import (
	"fmt"
	"strconv"
	"strings"
)

// A Step is one thing that happens, in the words of the scripts:
//
//	commit 3 1=b !2 4>5=c 6^=-   transaction 3 is written to the binlog:
//	                             upsert, delete, change of key, of spelling; -: NULL
//	visible 3, executed 3        … becomes visible, gets into gtid_executed
//	deliver                      the stream delivers the next transaction
//	bound 2, dispatch            the next chunk: two rows (0: all that is left)
//	horizon                      the engine reads gtid_executed
//	take a, take b 1 4           batch a or b takes what it may, of keys 1 and 4 only
//	read, write, row, done       what worker copy, a or b does: read copy, write a lost
//	lock                         the cut-over's lock; also when it is given up again
type Step struct {
	Op     Op
	N      int
	Worker Worker
	Answer Answer
	Only   []int
	Writes []Write
}

// An Op is a step's first word.
type Op int

const (
	Commit Op = iota
	Visible
	Executed
	Deliver
	Bound
	Dispatch
	Horizon
	Take
	Read
	WriteRows
	OneRow
	Done
	Lock
)

var opNames = []string{"commit", "visible", "executed", "deliver", "bound", "dispatch", "horizon", "take", "read", "write", "row", "done", "lock"}

// A Worker is who copies chunks or applies batch a or b.
type Worker int

const (
	Copier Worker = iota
	A
	B
)

var (
	workerNames = []string{"copy", "a", "b"}
	answerNames = []string{"", " lost", " rolledback"}
)

func (w *World) job(who Worker) *job {
	if who == Copier {
		return &w.copier
	}
	return &w.apply[who-A]
}

// Do takes a step. It returns false where the step is not possible now, and
// has changed nothing then.
func (w *World) Do(s Step) bool {
	if w.Failed != "" || w.Fault != "" {
		return false
	}
	j := w.job(s.Worker)
	switch s.Op {
	case Commit:
		return w.commit(s.N, s.Writes)
	case Visible:
		return w.show(s.N)
	case Executed:
		return w.execute(s.N)
	case Deliver:
		return w.deliver()
	case Bound:
		if s.N == 0 {
			s.N = maxKey + 1
		}
		return w.bound(s.N)
	case Dispatch:
		return w.dispatch()
	case Horizon:
		w.horizon = w.executed
		return true
	case Take:
		if s.Worker == Copier || !w.takeBatch(j, s.Only) {
			return false
		}
		w.say("took %s", names(j.keys))
		return true
	case Read:
		return w.look(j)
	case WriteRows:
		return w.write(j, s.Answer)
	case OneRow:
		return w.row(j, s.Answer)
	case Done:
		return w.done(j)
	case Lock:
		if !w.copied.Done || w.copier.state != idle || w.apply[0].state != idle || w.apply[1].state != idle {
			return false
		}
		w.settle()
		return true
	}
	return false
}

// Finish lets the writers stop and the migration come to its end.
func (w *World) Finish() {
	for range 2000 {
		if w.Failed != "" || w.Fault != "" {
			return
		}
		moved := false
		for who := range Worker(3) {
			for _, op := range []Op{Dispatch, Read, WriteRows, OneRow, Done} {
				moved = w.Do(Step{Op: op, Worker: who}) || moved
			}
		}
		moved = w.Do(Step{Op: Bound}) || moved
		if moved {
			continue
		}
		if !w.copied.Done {
			w.Fault = "the copy does not end"
			return
		}
		if w.settle() {
			return
		}
		w.horizon = w.executed
		w.Do(Step{Op: Take, Worker: A})
	}
	w.Fault = "the migration does not end"
}

func (s Step) String() string {
	out := opNames[s.Op]
	switch s.Op {
	case Commit, Visible, Executed, Bound:
		out += " " + strconv.Itoa(s.N)
	case Take, Read, WriteRows, OneRow, Done:
		out += " " + workerNames[s.Worker]
	}
	for _, k := range s.Only {
		out += " " + strconv.Itoa(k)
	}
	for _, op := range s.Writes {
		out += " " + op.String()
	}
	return out + answerNames[s.Answer]
}

func (op Write) String() string {
	switch {
	case op.To == 0:
		return "!" + strconv.Itoa(op.From)
	case op.From == 0:
		return spell(op.To, op.Caps) + "=" + valueName(op.Value)
	}
	return strconv.Itoa(op.From) + ">" + spell(op.To, op.Caps) + "=" + valueName(op.Value)
}

// ParseStep reads what String writes.
func ParseStep(text string) (Step, error) {
	words := strings.Fields(text)
	s := Step{Op: -1}
	for op, n := range opNames {
		if len(words) > 0 && words[0] == n {
			s.Op = Op(op)
		}
	}
	if s.Op < 0 {
		return s, fmt.Errorf("step %q: no such command", text)
	}
	for i, word := range words[1:] {
		n, numeric := strconv.Atoi(word)
		switch {
		case numeric == nil && i == 0:
			s.N = n
		case numeric == nil:
			s.Only = append(s.Only, n)
		case word == "lost":
			s.Answer = Lost
		case word == "rolledback":
			s.Answer = RolledBack
		case word == "copy" || word == "a" || word == "b":
			s.Worker = map[string]Worker{"copy": Copier, "a": A, "b": B}[word]
		default:
			op, err := parseWrite(word)
			if err != nil {
				return s, fmt.Errorf("step %q: %w", text, err)
			}
			s.Writes = append(s.Writes, op)
		}
	}
	return s, nil
}

func parseWrite(word string) (Write, error) {
	var op Write
	if rest, ok := strings.CutPrefix(word, "!"); ok {
		k, err := parseKey(rest)
		op.From = k
		return op, err
	}
	keys, value, ok := strings.Cut(word, "=")
	if !ok || len(value) != 1 {
		return op, fmt.Errorf("%q is no write", word)
	}
	if value != "-" {
		op.Value = int8(value[0]-'a') + 1
	}
	to := keys
	var err error
	if from, rest, ok := strings.Cut(keys, ">"); ok {
		to = rest
		if op.From, err = parseKey(from); err != nil {
			return op, err
		}
	}
	to, op.Caps = strings.CutSuffix(to, "^")
	op.To, err = parseKey(to)
	return op, err
}

func parseKey(s string) (int, error) {
	k, err := strconv.Atoi(s)
	if err != nil || k < 1 || k > maxKey {
		return 0, fmt.Errorf("%q is no key", s)
	}
	return k, nil
}
