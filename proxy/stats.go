package proxy

import (
	"math"
	"math/bits"
	"sync/atomic"
	"time"

	"midflight/proxy/wire"
)

// nanos is a moment of this process's monotonic clock.
type nanos int64

var epoch = time.Now()

func clock() nanos { return nanos(time.Since(epoch)) }

// stats counts commands. Each loop has its own, so that no two threads write to
// the same line of memory; whoever asks adds them up.
type stats struct {
	classes [len(classNames)]classStats
	bytes   [2]atomic.Uint64 // from clients, from servers
}

type classStats struct {
	begun, failed, suffered atomic.Uint64
	nanos                   atomic.Uint64 // sum
	// A command is sampled when as many have begun, or at least the samples are
	// asked then; of no statement: never.
	due   atomic.Uint64
	again atomic.Int64 // nanos
	slots [latencySlots]atomic.Uint64
}

// Latencies are counted in four slots for each power of two, from 1.024 µs up:
// an error of at most a quarter.
const (
	latencyUnit  = 10 // bits: what is shorter is 0
	latencySlots = 4 * 30
)

func latencySlot(d nanos) int {
	v := uint64(max(d, 0)) >> latencyUnit
	if v < 4 {
		return int(v)
	}
	octave := bits.Len64(v) - 3 // v>>octave is 4 to 7
	return min(4*octave+int(v>>octave), latencySlots-1)
}

// slotEnd is the shortest latency above a slot.
func slotEnd(slot int) time.Duration {
	if slot < 4 {
		return time.Duration(slot+1) << latencyUnit
	}
	octave := (slot - 4) / 4
	return time.Duration(slot-4*octave+1) << (octave + latencyUnit)
}

func newStats() *stats {
	s := new(stats)
	for i := range s.classes {
		s.classes[i].due.Store(math.MaxUint64)
		s.classes[i].again.Store(math.MaxInt64)
	}
	for _, cmd := range sampled {
		c := &s.classes[classOf[cmd]]
		c.due.Store(0)
		c.again.Store(0)
	}
	return s
}

// begun tells whether the samples are to be asked.
func (s *stats) begun(cmd byte, now nanos) (sample bool) {
	c := &s.classes[classOf[cmd]]
	return c.begun.Add(1) >= c.due.Load() || int64(now) >= c.again.Load()
}

// sampled are the commands that run a statement.
var sampled = [...]byte{wire.ComQuery, wire.ComStmtExecute, wire.ComStmtBulkExecute}

// statements have begun.
func (s *stats) statements() (n uint64) {
	for _, cmd := range sampled {
		n += s.classes[classOf[cmd]].begun.Load()
	}
	return n
}

func (s *stats) answered(cmd byte, d nanos, failed, suffered bool) {
	c := &s.classes[classOf[cmd]]
	if failed {
		c.failed.Add(1)
	}
	if suffered {
		c.suffered.Add(1)
	}
	c.nanos.Add(uint64(max(d, 0)))
	c.slots[latencySlot(d)].Add(1)
}

var classNames = [...]string{
	"other", "quit", "init_db", "query", "field_list", "statistics", "process_info", "ping", "change_user",
	"binlog_dump", "stmt_prepare", "stmt_execute", "stmt_send_long_data", "stmt_close", "stmt_reset",
	"set_option", "stmt_fetch", "reset_connection", "stmt_bulk_execute",
}

var classOf = func() (of [256]uint8) {
	for i, cmds := range [len(classNames)][]byte{
		1:  {wire.ComQuit},
		2:  {wire.ComInitDB},
		3:  {wire.ComQuery},
		4:  {wire.ComFieldList},
		5:  {wire.ComStatistics},
		6:  {wire.ComProcessInfo},
		7:  {wire.ComPing},
		8:  {wire.ComChangeUser},
		9:  {wire.ComBinlogDump, wire.ComBinlogDumpGTID},
		10: {wire.ComStmtPrepare},
		11: {wire.ComStmtExecute},
		12: {wire.ComStmtSendLong},
		13: {wire.ComStmtClose},
		14: {wire.ComStmtReset},
		15: {wire.ComSetOption},
		16: {wire.ComStmtFetch},
		17: {wire.ComResetConnection},
		18: {wire.ComStmtBulkExecute},
	} {
		for _, cmd := range cmds {
			of[cmd] = uint8(i)
		}
	}
	return of
}()

// CommandStats are the commands of one kind since the start.
type CommandStats struct {
	Command string // as MySQL's Com_ counters and manual name it: "query", "stmt_execute" …
	Begun   uint64
	Failed  uint64 // answered with an error
	// Suffered are those of Failed that are no fault of the statement's own: by a lock, by
	// what was short, slow or gone.
	Suffered uint64
	// Latency counts answered commands: from when the command's first bytes
	// were read, holds included, to when the answer's last byte was.
	Latency Latency
}

// Latency is a distribution of durations.
type Latency struct {
	Count uint64
	Sum   time.Duration
	Slots []LatencySlot // those that are not empty, shortest first
}

// A LatencySlot counts durations below End and not below the previous slot's.
type LatencySlot struct {
	End   time.Duration
	Count uint64
}

// count adds slots to an empty distribution.
func (l *Latency) count(slots *[latencySlots]uint64) {
	for i, n := range slots {
		if n > 0 {
			l.Count += n
			l.Slots = append(l.Slots, LatencySlot{slotEnd(i), n})
		}
	}
}

// Stats is what the sessions have done since the start.
type Stats struct {
	FromClients, FromServers uint64 // bytes, after authentication
	Commands                 []CommandStats
}

// Stats adds up what all sessions did, also those that are open.
func (s *Server) Stats() Stats {
	var sum Stats
	for class, name := range classNames {
		c := CommandStats{Command: name}
		var slots [latencySlots]uint64
		for _, st := range s.stats {
			from := &st.classes[class]
			c.Begun += from.begun.Load()
			c.Failed += from.failed.Load()
			c.Suffered += from.suffered.Load()
			c.Latency.Sum += time.Duration(from.nanos.Load())
			for i := range slots {
				slots[i] += from.slots[i].Load()
			}
		}
		c.Latency.count(&slots)
		sum.Commands = append(sum.Commands, c)
	}
	for _, st := range s.stats {
		sum.FromClients += st.bytes[0].Load()
		sum.FromServers += st.bytes[1].Load()
	}
	return sum
}
