package mysqld

import (
	"os"
	"path/filepath"
)

// Space is what a file system has, in bytes.
type Space struct {
	Free, Total int64  // Free: for others than root
	Device      uint64 // which it is
}

// IsHere tells whether a server's files are those of this machine, by a table of its. A
// container may have the same path, but not the table's file in it.
func IsHere(datadir, schema, table string) bool {
	for _, ending := range []string{".ibd", ".frm"} {
		if _, err := os.Stat(filepath.Join(datadir, schema, table+ending)); err == nil {
			return true
		}
	}
	return false
}
