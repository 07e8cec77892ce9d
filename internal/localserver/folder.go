package localserver

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// A folder is a server's temporary folder. Its owner holds a lock on a file
// beside it, which the system releases when the owner dies, however it dies;
// folders whose lock is free are removed by whoever makes the next folder.
//
// The path is short, which t.TempDir's is not: a socket's may have 107 bytes.
type folder struct {
	path string
	lock *os.File
}

func newFolder() (*folder, error) {
	base := filepath.Join(os.TempDir(), fmt.Sprintf("midflight-%d", os.Getuid()))
	if err := os.MkdirAll(base, 0o700); err != nil {
		return nil, fmt.Errorf("make the servers' folder: %w", err)
	}
	removeAbandoned(base)
	for {
		lock, err := os.CreateTemp(base, "s*.lock")
		if err != nil {
			return nil, fmt.Errorf("make a lock file: %w", err)
		}
		// Another process may take the new file for an abandoned one.
		if !tryLock(lock) || !isFile(lock.Name()) {
			lock.Close()
			continue
		}
		path := strings.TrimSuffix(lock.Name(), ".lock")
		if err := os.Mkdir(path, 0o700); err != nil {
			lock.Close()
			return nil, fmt.Errorf("make a server's folder: %w", err)
		}
		return &folder{path, lock}, nil
	}
}

func (f *folder) remove() error {
	defer f.lock.Close()
	return errors.Join(os.RemoveAll(f.path), os.Remove(f.lock.Name()))
}

func removeAbandoned(base string) {
	names, _ := filepath.Glob(filepath.Join(base, "*.lock"))
	for _, name := range names {
		lock, err := os.OpenFile(name, os.O_RDWR, 0)
		if err != nil {
			continue // removed meanwhile
		}
		if tryLock(lock) {
			// Best effort: what stays is tried again the next time.
			if os.RemoveAll(strings.TrimSuffix(name, ".lock")) == nil {
				os.Remove(name)
			}
		}
		lock.Close()
	}
}

func tryLock(f *os.File) bool {
	return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil
}
