package drivers

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// required says that nobody may believe that everything was tested when it
// wasn't.
func required() bool {
	return os.Getenv("CI") == "true" || os.Getenv("MIDFLIGHT_REQUIRE_DRIVERS") == "1"
}

func missing(t testing.TB, format string, args ...any) {
	t.Helper()
	if required() {
		t.Fatalf(format, args...)
	}
	t.Skipf("NOT TESTED: "+format, args...)
}

// cached is a path in the folder that scripts/drivers has filled.
func cached(t testing.TB, path ...string) string {
	t.Helper()
	root := os.Getenv("MIDFLIGHT_DRIVERS")
	if root == "" {
		missing(t, "MIDFLIGHT_DRIVERS names no folder: eval \"$(scripts/drivers env)\"")
	}
	name := filepath.Join(append([]string{root}, path...)...)
	if _, err := os.Stat(name); err != nil {
		missing(t, "scripts/drivers has not got it: %v", err)
	}
	return name
}

// system is a program that scripts/drivers doesn't get.
func system(t testing.TB, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		missing(t, "install %s: %v", program, err)
	}
	return path
}

// testdata is the absolute path of a file there.
func testdata(t testing.TB, path ...string) string {
	t.Helper()
	name, err := filepath.Abs(filepath.Join(append([]string{"testdata"}, path...)...))
	if err != nil {
		t.Fatal(err)
	}
	return name
}

// library is the folder of the unpacked shared libraries.
func library(t testing.TB) string {
	t.Helper()
	found, _ := filepath.Glob(filepath.Join(cached(t, "root", "usr", "lib"), "*-linux-gnu*", "libmariadb.so.3"))
	if len(found) == 0 {
		missing(t, "scripts/drivers has not got libmariadb.so.3")
	}
	return filepath.Dir(found[0])
}

// libraryPath is the environment of a program that uses them.
func libraryPath(t testing.TB) []string {
	t.Helper()
	dir := library(t)
	older := filepath.Join(cached(t, "root"), "lib", filepath.Base(dir)) // before the merge of /lib into /usr/lib
	return []string{"LD_LIBRARY_PATH=" + dir + ":" + older, "MARIADB_PLUGIN_DIR=" + filepath.Join(dir, "libmariadb3", "plugin")}
}
