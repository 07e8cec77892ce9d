package ghost

import "golang.org/x/sys/unix"

// freeSpace is what a file system has left for others than root, and which it is.
func freeSpace(dir string) (bytes int64, device uint64, err error) {
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return 0, 0, err
	}
	var file unix.Stat_t
	if err := unix.Stat(dir, &file); err != nil {
		return 0, 0, err
	}
	return int64(fs.Bavail) * fs.Bsize, file.Dev, nil
}
