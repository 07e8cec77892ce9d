package ghost

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"midflight/ghost/plan"
)

// mustHaveRoom refuses a copy for which the disk has no room, where that can be told: the
// server's files are on this machine. Elsewhere the server's own error comes when it is
// full, and what was taken is given back.
func (r *run) mustHaveRoom(ctx context.Context) error {
	_, places, err := r.roomFor(ctx)
	if err != nil {
		return err
	}
	for _, p := range places {
		if p.Need > p.Free {
			return &plan.Refusal{
				Reason: fmt.Sprintf("the new table and its rows in the binlog need about %s in %s, and %s are free", size(p.Need), p.Dir, size(p.Free)),
				Hint:   "Make room there. " + plan.AskDirect,
			}
		}
	}
	return nil
}

// A Place is a directory of the server's that a copy takes room in.
type Place struct {
	Dir        string
	Need, Free int64
}

// roomFor is what a copy needs, and where; no places: nobody can tell what is free.
func (r *run) roomFor(ctx context.Context) (need room, places []Place, err error) {
	var datadir, binlogs string
	var data, indexes int64
	err = r.DB.QueryRowContext(ctx, `SELECT /* midflight */ @@GLOBAL.datadir, COALESCE(@@GLOBAL.log_bin_basename, ''), COALESCE(data_length, 0), COALESCE(index_length, 0)
FROM information_schema.tables WHERE table_schema = ? AND table_name = ?`, r.original.Name.Schema, r.original.Name.Table).Scan(&datadir, &binlogs, &data, &indexes)
	if err != nil {
		return need, nil, fmt.Errorf("ask how large %s is: %w", r.original.Name, err)
	}
	need = room{table: data + indexes, binlog: data}
	if !oursToSee(datadir, r.original.Name.Schema, r.original.Name.Table) {
		return need, nil, nil
	}
	for _, dir := range []string{datadir, filepath.Dir(binlogs)} {
		free, device, err := freeSpace(dir)
		if err != nil {
			continue // nobody can tell
		}
		_, other, err := freeSpace(filepath.Dir(binlogs))
		places = append(places, Place{dir, need.on(dir == datadir, err == nil && device == other), free})
	}
	return need, places, nil
}

// oursToSee: the server's files are those of this machine. A container may have the same
// path, but not the table's file in it.
func oursToSee(datadir, schema, table string) bool {
	for _, ending := range []string{".ibd", ".frm"} {
		if _, err := os.Stat(filepath.Join(datadir, schema, table+ending)); err == nil {
			return true
		}
	}
	return false
}

// A room is what a copy needs, in bytes.
type room struct{ table, binlog int64 }

// on is what it needs in the directory of the tables, or in that of the binlog; together
// where both are on one file system. A table that is filled in order of the key has pages
// that are a sixteenth empty, and InnoDB takes its space in extents.
func (r room) on(tables, together bool) int64 {
	need := int64(0)
	if tables || together {
		need += r.table + r.table/8
	}
	if !tables || together {
		need += r.binlog
	}
	return need
}

// size is for people.
func size(bytes int64) string {
	switch {
	case bytes >= 10<<30:
		return fmt.Sprintf("%d GiB", bytes>>30)
	case bytes >= 10<<20:
		return fmt.Sprintf("%d MiB", bytes>>20)
	}
	return fmt.Sprintf("%d KiB", bytes>>10)
}
