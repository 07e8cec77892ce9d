package mysqld

import "golang.org/x/sys/unix"

// SpaceOf the file system of a directory.
func SpaceOf(dir string) (Space, error) {
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return Space{}, err
	}
	var file unix.Stat_t
	if err := unix.Stat(dir, &file); err != nil {
		return Space{}, err
	}
	return Space{Free: int64(fs.Bavail) * fs.Bsize, Total: int64(fs.Blocks) * fs.Bsize, Device: file.Dev}, nil
}
