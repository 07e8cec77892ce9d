// Package version tells which Midflight this is.
package version

import "runtime/debug"

// String is the version of the binary, by the module it was built from.
func String() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}
