// Package version tells which Midflight this is.
package version

import "runtime/debug"

// release is the version that scripts/release has the linker write.
var release string

// String is the version of the binary: the release, or the module it was built from.
func String() string {
	if release != "" {
		return release
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}
