//go:build !linux

package mysqld

import "errors"

// SpaceOf the file system of a directory.
func SpaceOf(string) (Space, error) { return Space{}, errors.ErrUnsupported }
