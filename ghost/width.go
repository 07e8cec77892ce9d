package ghost

import (
	"context"
	"strconv"
	"strings"
)

// A server of unknown size is thought to have two processors, and no server has more
// than so many chunks copied at a time: its redo log and its replicas would not keep up.
const (
	leastWidth = 2
	mostWidth  = 8
)

// width is how many chunks are copied, batches applied and ranges compared at a time: a
// quarter of the server's processors, which others need.
func (r *run) width(ctx context.Context) int {
	return min(max(leastWidth, r.processors(ctx)/4), mostWidth)
}

// processors of the server's machine, as far as it tells: MySQL by the default resource
// group ("0-15"), MariaDB by the size that a thread pool would have. 0: not known.
func (r *run) processors(ctx context.Context) int {
	query := "SELECT /* midflight */ vcpu_ids FROM information_schema.resource_groups WHERE resource_group_name = 'USR_default'"
	if r.Flavor.MariaDB {
		query = "SELECT /* midflight */ @@GLOBAL.thread_pool_size"
	}
	var told []byte // the column is a BLOB
	if err := r.DB.QueryRowContext(ctx, query).Scan(&told); err != nil {
		return 0 // not worth an error
	}
	if r.Flavor.MariaDB {
		n, _ := strconv.Atoi(string(told))
		return n
	}
	return countIDs(string(told))
}

// countIDs counts what a list like "0-3,8" names.
func countIDs(list string) (n int) {
	for part := range strings.SplitSeq(list, ",") {
		first, last, isRange := strings.Cut(strings.TrimSpace(part), "-")
		lo, err := strconv.Atoi(first)
		if err != nil {
			return 0
		}
		hi := lo
		if isRange {
			if hi, err = strconv.Atoi(last); err != nil || hi < lo {
				return 0
			}
		}
		n += hi - lo + 1
	}
	return n
}

// warmRows is how many rows of both tables fit into an eighth of the buffer pool.
func (r *run) warmRows(ctx context.Context) int {
	var pool int64
	if err := r.DB.QueryRowContext(ctx, "SELECT /* midflight */ @@GLOBAL.innodb_buffer_pool_size").Scan(&pool); err != nil {
		pool = 128 << 20 // the default
	}
	return int(pool / 16 / r.rowBytes())
}

// rowBytes of a row, by the server's estimates.
func (r *run) rowBytes() int64 { return max(r.original.Bytes/max(r.original.Rows, 1), 50) }
