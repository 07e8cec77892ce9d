package model

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A Step is one thing that happens, in the words of the scripts:
//
//	commit 3 1=b !2 4>5=c/x 6^=-  transaction 3 is written to the binlog: upsert,
//	                              delete, change of key, of spelling; the values of
//	                              the two unique keys; -: NULL
//	unread 3 1=b                  the same, but the stream has no keys of it
//	visible 3, executed 3         … becomes visible, gets into gtid_executed
//	begin, hide 1=b !2, end       a session without a binlog runs a command, which
//	                              commits transactions
//	deliver                       the stream delivers the next transaction
//	bound 2                       the next chunk's end is found: two rows (0: all)
//	dispatch copy, dispatch copy2 … and it is handed to a copier
//	horizon                       the engine reads gtid_executed
//	take a, take b 1 4            batch a or b takes what it may, of keys 1 and 4 only
//	verify, take v                comparing begins; a range or keys are taken (v2: a range)
//	read, write, replace, done    what worker copy, copy2, a, b, v or v2 does: read copy,
//	                              write a lost; v writes its marker
//	lock, lock 2                  the cut-over under its lock; given up at its 2nd step
//	checkpoint                    is written
//	restart, restart copy a       another engine; what copy and a were doing is committed
//	spoil 3, lose 3               a fault changes or removes row 3 of the shadow
type Step struct {
	Op     Op
	N      int
	Worker Worker
	Answer Answer
	Only   []int // keys; of a restart, workers
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
	Verify
	Read
	WriteRows
	Replace
	Done
	Lock
	SaveCheckpoint
	Restart
	Spoil
	Lose
	Unread
	Begin
	Hide
	End
)

var opNames = []string{"commit", "visible", "executed", "deliver", "bound", "dispatch", "horizon", "take", "verify", "read", "write", "replace", "done", "lock", "checkpoint", "restart", "spoil", "lose", "unread", "begin", "hide", "end"}

var answerNames = []string{"", " lost", " rolledback"}

// Do takes a step. It returns false where the step is not possible now, and
// has changed nothing then.
func (w *World) Do(s Step) bool {
	if w.ended() {
		return false
	}
	j := &w.jobs[s.Worker]
	switch s.Op {
	case Commit:
		return w.commit(s.N, s.Writes, false)
	case Unread:
		return w.commit(s.N, s.Writes, true)
	case Begin, End:
		return w.runCommand(s.Op == Begin)
	case Hide:
		return w.hide(s.Writes)
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
		return s.Worker <= Copier2 && w.dispatch(j)
	case Horizon:
		return w.readHorizon()
	case Take:
		switch s.Worker {
		case A, B:
			return w.takeBatch(j, s.Only)
		case Verifier, Verifier2:
			return w.takeComparison(j)
		}
	case Verify:
		return w.beginVerify()
	case Read:
		return w.look(j)
	case WriteRows:
		return w.write(j, s.Answer)
	case Replace:
		return w.replaceStep(j, s.Answer)
	case Done:
		return w.done(j)
	case Lock:
		return w.cutOver(s.N)
	case SaveCheckpoint:
		return w.save()
	case Restart:
		return w.restart(s.Only)
	case Spoil, Lose:
		return w.spoil(s.N, s.Op == Lose)
	}
	return false
}

// Finish lets the writers stop and the migration come to its end.
func (w *World) Finish() {
	w.settleCommits()
	w.runCommand(false)
	for range 500 {
		for w.deliver() {
		}
		moved := false
		for who := range w.jobs {
			j := &w.jobs[who]
			moved = w.look(j) || moved
			moved = w.write(j, OK) || moved
			for w.replaceStep(j, OK) && !w.ended() {
				moved = true
			}
			moved = w.done(j) || moved
			if w.ended() {
				return
			}
		}
		moved = w.bound(maxKey+1) || moved
		moved = w.dispatch(&w.jobs[Copier]) || moved
		if moved {
			continue
		}
		w.readHorizon()
		if w.takeBatch(&w.jobs[A], nil) {
			continue
		}
		if !w.copied.Done() {
			w.Fault = "the copy does not end"
			return
		}
		if w.beginVerify() || w.takeComparison(&w.jobs[Verifier]) {
			continue
		}
		if w.cutOver(0); w.ended() {
			return
		}
	}
	w.Fault = "the migration does not end"
}

func (s Step) String() string {
	out := opNames[s.Op]
	switch s.Op {
	case Commit, Unread, Visible, Executed, Bound, Spoil, Lose:
		out += " " + strconv.Itoa(s.N)
	case Lock:
		if s.N > 0 {
			out += " " + strconv.Itoa(s.N)
		}
	case Dispatch, Take, Read, WriteRows, Replace, Done:
		out += " " + workerNames[s.Worker]
	case Restart:
		for _, who := range s.Only {
			out += " " + workerNames[who]
		}
		return out
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
		return spell(op.To, op.Caps) + "=" + valueNames(op.U)
	}
	return strconv.Itoa(op.From) + ">" + spell(op.To, op.Caps) + "=" + valueNames(op.U)
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
		case slices.Contains(workerNames, word):
			who := slices.Index(workerNames, word)
			if s.Worker = Worker(who); s.Op == Restart {
				s.Worker, s.Only = Copier, append(s.Only, who)
			}
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
	keys, values, ok := strings.Cut(word, "=")
	names := strings.Split(values, "/")
	if !ok || len(names) > uniques {
		return op, fmt.Errorf("%q is no write", word)
	}
	for i, v := range names {
		if len(v) != 1 {
			return op, fmt.Errorf("%q is no write", word)
		}
		if v != "-" {
			op.U[i] = int8(v[0]-'a') + 1
		}
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
