package ghost

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"midflight/binlog"
	"midflight/ghost/backlog"
	"midflight/ghost/chunk"
	"midflight/ghost/forecast"
	"midflight/ghost/pace"
	"midflight/ghost/plan"
	"midflight/ghost/verify"
	"midflight/throttle"
)

// A syncer keeps the shadow table in step with the original: it owns the
// backlog, the copy's progress and the state of verification. One goroutine
// (the migration's) decides; workers run single jobs and hand back what to do
// with the outcome. So no rule of docs/algorithm.md is ever applied by two.
type syncer struct {
	*run
	plan       plan.Plan
	visibility *binlog.Visibility

	ctx     context.Context // of the stream's reader and the workers
	cancel  context.CancelFunc
	wait    sync.WaitGroup
	txs     chan binlog.Tx
	streamE chan error
	done    chan func() error // what a finished job wants the owner to do
	busy    map[job]int

	copiers, appliers, verifiers *crew
	width                        int // how many of each may be busy
	rowBytes                     int64
	warm                         int // rows that the server's memory has room for, and leaves room for others

	backlog *backlog.Backlog[*binlog.TxID]
	last    *binlog.TxID // of the latest transaction received
	// Everything up to applied is in the shadow, or ahead of the copy.
	received, applied binlog.Position
	marks             []mark // places behind applied, oldest first
	// Where the chunks end, in their order. The first saved are in the checkpoint.
	ends     []binlog.Key
	saved    int
	outdated outdated
	look     bool // something happened since the horizon was last read in vain
	horizon  binlog.Horizon
	fresh    bool      // what it covers may not all be taken yet
	looked   time.Time // when it was last asked for

	copying   bool
	copied    backlog.Copied
	course    chunk.Course
	scouted   time.Time // when ends were last found ahead
	sizer     chunk.Sizer
	applyTurn bool          // the copy waits for a turn of the apply
	turned    time.Time     // when that last ended
	ranges    []chunk.Range // all that was copied, for verification
	count     count
	trying    sync.Mutex // of the schema in which rows are tried: several workers may have one that fails
	chunks    int        // handed to copiers
	warned    warned
	forecast  forecast.Forecast
	building  time.Time // when the building of the indexes began; zero: it isn't under way
	readers   []Blocker // whom it may have to wait for

	verify   verify.Verification
	compared VerifyDetail // what it has compared
	crowded  time.Time    // when a range had too many rows that wait to be applied
	settled  time.Time    // when no key that is to be compared was last found to be ready

	names  []string      // what reaches the table; nil: not known any more
	began  hiding        // when the comparing of all rows last began
	unseen []binlog.TxID // hidden changes that not every reader sees yet
	around string        // see hiding

	helperGone  bool // dropped for a swap
	ownTriggers bool // the stream may have our own CREATE TRIGGER

	second *time.Ticker // for housekeep; the pump is often left and entered again sooner
	tick   *time.Ticker // for the pace

	pace pace.Pace
	felt pace.Felt // as of the latest tick

	strain   pace.Strain
	reach    []string           // what reached the table in the beginning: whose statements feel it
	strained time.Time          // when readings were taken
	readings []throttle.Reading // of what the applications feel

	brake  throttle.Brake
	waited map[throttle.Signal]time.Duration // before this attempt

	away     bool // from the gate and the listener
	breaking bool // the store is being told that it is stopped
	broken   int  // how often it has been

	fences  map[string]bool // tokens that have come back
	fenceNo int
}

// A job is what can be under way.
type job int

const (
	copyJob    job = iota // of a chunk; several at a time
	scoutJob              // finds where the next chunks end
	horizonJob            // asks what has become visible
	applyJob              // of a batch; several at a time
	verifyJob             // of a range; several at a time
	keysJob               // compares rows by key
	housekeeping
	analyzeJob
	nativeJob
	indexJob  // nothing is applied meanwhile
	helperJob // nothing else touches the shadow meanwhile
)

func newSyncer(ctx context.Context, r *run, changes *binlog.Subscription, v *binlog.Visibility, p plan.Plan, names []string) *syncer {
	width := r.width(ctx)
	session := rowSession(r.request.Settings, p)
	s := &syncer{
		run: r, plan: p,
		visibility: v,
		received:   changes.From, applied: changes.From,
		txs: make(chan binlog.Tx, 256), streamE: make(chan error, 1),
		done: make(chan func() error), busy: map[job]int{},
		copiers: newCrew(r.worker, session), appliers: newCrew(r.worker, session), verifiers: newCrew(r.reader, session),
		width: width, rowBytes: r.rowBytes(), warm: r.warmRows(ctx),
		backlog: backlog.New[*binlog.TxID](), last: &binlog.TxID{},
		copied: backlog.NewCopied(p.Key.Integers() && !p.Numbers()),
		course: chunk.NewCourse(p.Key.Integers() && len(p.Key.Original) == 1),
		verify: verify.New(p.Key.Exact()),
		fences: map[string]bool{},
		names:  names, reach: names,
	}
	s.second, s.tick = time.NewTicker(time.Second), time.NewTicker(pace.Tick)
	s.beginFeeling()
	s.brake, s.waited = throttle.NewBrake(time.Now(), r.Gate.State().Late), r.status.Throttled
	s.began = s.hiding()
	s.stream.Store(changes)
	s.ctx, s.cancel = context.WithCancel(ctx)
	s.wait.Add(1)
	go func() {
		defer s.wait.Done()
		defer changes.Close()
		for {
			tx, err := changes.Next(s.ctx)
			if err != nil {
				s.streamE <- err
				return
			}
			select {
			case s.txs <- tx:
			case <-s.ctx.Done():
				return
			}
		}
	}()
	return s
}

// stop ends the stream and the workers, and waits for them.
func (s *syncer) stop() {
	s.second.Stop()
	s.tick.Stop()
	s.bookWaits() // of the last second
	s.goAway()
	s.stream.Store(nil)
	s.cancel()
	finished := make(chan struct{})
	go func() { s.wait.Wait(); close(finished) }()
	for {
		select {
		case <-s.done: // the outcome no longer matters
		case <-finished:
			for _, c := range []*crew{s.copiers, s.appliers, s.verifiers} {
				c.close()
			}
			return
		}
	}
}

// start runs f in a goroutine of its own; what it returns runs on the owner's.
func (s *syncer) start(j job, f func(context.Context) func() error) {
	s.busy[j]++
	s.wait.Add(1)
	go func() {
		defer s.wait.Done()
		outcome := f(s.ctx)
		s.done <- func() error {
			if s.busy[j]--; s.busy[j] == 0 {
				delete(s.busy, j)
			}
			s.look = true
			s.applyAgain()
			return outcome()
		}
	}()
}

// startWith is start with a worker of the crew.
func (s *syncer) startWith(c *crew, j job, f func(context.Context, *worker) func() error) {
	w := c.take()
	s.start(j, func(ctx context.Context) func() error {
		outcome := f(ctx, w)
		return func() error {
			c.put(w)
			return outcome()
		}
	})
}

// pump keeps everything going until a condition holds. It is the owner's loop.
func (s *syncer) pump(ctx context.Context, until func() bool) error {
	again := time.NewTicker(2 * time.Millisecond) // to ask again what has become visible
	defer again.Stop()
	for !until() {
		s.dispatch()
		select {
		case tx := <-s.incoming():
			if err := s.receive(tx); err != nil {
				return err
			}
		case outcome := <-s.done:
			if err := outcome(); err != nil {
				return err
			}
		case <-again.C:
			s.look = true
			if s.copying && s.brake.Verdict().By == throttle.Sampling { // a small table's copy is shorter than a tick
				s.brakeTurn()
			}
		case <-s.second.C:
			s.housekeep()
		case <-s.tick.C:
			s.feel()
		case err := <-s.streamE:
			return fmt.Errorf("%w: %w", errStream, err)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// errStream: nobody reads the binlog any more.
var errStream = errors.New("read the binlog")

// dispatch gives work to idle workers.
func (s *syncer) dispatch() {
	if s.busy[helperJob] > 0 {
		return
	}
	if s.busy[indexJob] == 0 {
		s.dispatchApply()
	}
	if s.behind() { // it goes first, where there is but one
		s.dispatchVerify()
	}
	s.dispatchCopy()
	s.dispatchVerify()
}

// receive takes a transaction from the stream.
func (s *syncer) receive(tx binlog.Tx) error {
	s.applyAgain()
	id := new(binlog.TxID) // the keys have it in common
	*id = tx.ID
	if tx.UnknownXA != "" {
		s.hid(tx.ID, "the XA transaction "+tx.UnknownXA+" was prepared before the migration began")
	}
	if tx.Unread {
		s.hid(tx.ID, "a session's binlog_row_image leaves the chunk key out")
	}
	for _, st := range tx.Statements {
		if err := s.foreign(tx.ID, st); err != nil {
			return err
		}
	}
	for _, c := range tx.Changes {
		for _, k := range []*binlog.Key{c.Before, c.After} {
			if k != nil {
				s.backlog.Add(*k, id)
				s.verify.Changed(*k)
			}
		}
	}
	for _, token := range tx.Fences {
		s.fences[token] = true
		if err := s.convict(token); err != nil {
			return err
		}
	}
	s.last, s.received = id, tx.After
	s.look = true
	return nil
}

// A mark is a place in the stream, and the generation of the keys that came before it.
type mark struct {
	generation int
	position   binlog.Position
}

// mostMarks are kept: a backlog that does not move for hours needs no more.
const mostMarks = 64

// advance moves the position from which somebody could resume.
//
// Invariant: every change up to it was applied, or forgotten since a chunk beyond
// the watermark reads it; what is being applied counts as not yet applied. A hidden
// one is there for every reader, so whoever resumes finds it.
func (s *syncer) advance() {
	if len(s.unseen) > 0 {
		return
	}
	if s.backlog.Len() == 0 {
		s.applied, s.marks = s.received, nil
	}
	for len(s.marks) > 0 && s.backlog.Settled(s.marks[0].generation) {
		s.applied, s.marks = s.marks[0].position, s.marks[1:]
	}
}

// checkpoint is what can be gone on with as of now.
func (s *syncer) checkpoint() Checkpoint {
	s.advance()
	if len(s.marks) < mostMarks {
		s.marks = append(s.marks, mark{s.backlog.Mark(), s.received})
	}
	c := Checkpoint{Watermark: s.copied.Watermark(), Position: s.applied, Rows: s.count.rows, First: s.saved}
	if i := slices.Index(s.ends[s.saved:], c.Watermark); i >= 0 {
		c.Ends = slices.Clone(s.ends[s.saved : s.saved+i+1])
	}
	return c
}

// housekeep, every second: what the operator wants, the published status, a
// checkpoint.
func (s *syncer) housekeep() {
	if s.busy[housekeeping] > 0 {
		return
	}
	s.progress()
	s.bookWaits()
	status := s.status
	s.shown.Store(&status)
	s.applyAgain()
	checkpoint := s.checkpoint()
	broken := s.broken
	builds, shadow := !s.building.IsZero() && time.Since(s.building) > time.Second, s.shadow
	s.start(housekeeping, func(ctx context.Context) func() error {
		control, err := s.Store.Control(ctx, status.ID)
		s.Store.Save(ctx, status)
		saved := s.Store.Checkpoint(ctx, status.ID, checkpoint) // the next second tries again
		around, aroundErr := lookAround(ctx, s.DB, s.Flavor)
		lost := s.lease.hold(ctx)
		var readers []Blocker
		if builds {
			readers, _ = s.readersOf(ctx, shadow) // the next second asks again
		}
		return func() error {
			s.readers = readers
			if saved == nil {
				s.saved += len(checkpoint.Ends)
			}
			if aroundErr == nil {
				s.around = around
			}
			if errors.Is(lost, errLeaseLost) {
				return lost
			}
			if err != nil {
				return nil // the next second asks again
			}
			if control.Cancel {
				return ErrCanceled
			}
			if !s.breaking && broken == s.broken { // else it may have been read before
				s.control = control
			}
			return nil
		}
	})
}

func (s *syncer) progress() {
	st := &s.status
	st.Backlog = s.backlog.Len()
	st.WaitingFor, st.waiting = "", ""
	switch {
	case st.Phase != Copying && s.verify.On() && (s.underWay() || s.began != s.hiding()):
		st.WaitingFor = "sessions with sql_log_bin = 0, whose changes are not in the binlog: all rows are compared again"
	case st.Phase != Copying && s.verify.On() && len(s.unseen) > 0:
		st.WaitingFor = "changes that the binlog has without their keys: all rows are compared again"
	case st.Phase != Ready || s.request.CutOver.Open(time.Now(), s.control.CutOver):
	case s.request.CutOver.Manual:
		st.WaitingFor = "CALL midflight.cutover"
	default:
		st.WaitingFor = "the window " + s.request.CutOver.String()
	}
	if len(s.readers) > 0 && !s.building.IsZero() {
		st.WaitingFor, st.waiting = describe(s.readers), who(s.readers)
	}
	if why := cmp.Or(s.throttledBy(), s.pace.Reason()); st.WaitingFor == "" && (s.copying || st.Phase == Verifying || s.control.Paused || st.Phase == Ready && !s.verified() && !s.brake.MayRead(time.Now())) {
		st.WaitingFor = why
	}
	s.foresee()
}

// fence writes a marker and waits for it to come back through the stream: then
// everything that was committed before has been received.
func (s *syncer) fence(ctx context.Context) error {
	token, err := s.writeFence(ctx)
	if err != nil {
		return err
	}
	return s.pump(ctx, func() bool { return s.fences[token] })
}

func (s *syncer) writeFence(ctx context.Context) (string, error) {
	token := s.nextToken()
	err := retry(ctx, patience, func() error { return s.Store.Fence(ctx, s.status.ID, token) })
	return token, wrap(err, "write a marker into the binlog")
}

func (s *syncer) nextToken() string {
	s.fenceNo++
	return fmt.Sprintf("m%d-%d-%d", s.status.ID, time.Now().UnixNano(), s.fenceNo)
}

// catchUp brings the backlog down to what the cut-over can finish under its
// lock.
func (s *syncer) catchUp(ctx context.Context) error {
	for {
		began := time.Now()
		if err := s.fence(ctx); err != nil {
			return err
		}
		if err := s.pump(ctx, func() bool { return s.backlog.Len() <= smallBacklog }); err != nil {
			return err
		}
		if time.Since(began) < time.Second {
			return nil
		}
	}
}

// smallBacklog keys are applied in a few milliseconds.
const smallBacklog = 200

// awaitLeave stays in sync until the swap may happen.
func (s *syncer) awaitLeave(ctx context.Context) error {
	return s.pump(ctx, func() bool {
		return !s.control.Paused && s.request.CutOver.Open(time.Now(), s.control.CutOver) &&
			s.backlog.Len() <= smallBacklog && s.verified()
	})
}

// idle waits until no worker is busy, and starts none.
func (s *syncer) idle(ctx context.Context) error {
	for len(s.busy) > 0 {
		select {
		case tx := <-s.txs:
			if err := s.receive(tx); err != nil {
				return err
			}
		case outcome := <-s.done:
			if err := outcome(); err != nil {
				return err
			}
		case err := <-s.streamE:
			return fmt.Errorf("%w: %w", errStream, err)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}
