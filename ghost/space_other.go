//go:build !linux

package ghost

import "errors"

func freeSpace(string) (bytes int64, device uint64, err error) {
	return 0, 0, errors.ErrUnsupported
}
