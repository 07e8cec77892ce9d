package ghost

import "midflight/binlog"

// DefaultMemory is how many bytes the keys of one migration may take that have changed
// and are not dealt with yet. At half of it the copy gives way, and at all of it the
// binlog is not read on: changes wait on the server then, where they are safe.
const DefaultMemory = 256 << 20

// incoming is where the stream's transactions come from; nil while there is no room for
// more. What was taken from it goes on being applied and compared, so there will be; of keys
// that Go can't order when all is copied, at the latest.
func (s *syncer) incoming() <-chan binlog.Tx {
	if s.backlog.Bytes()+s.verify.Bytes() >= s.Memory {
		return nil
	}
	return s.txs
}
