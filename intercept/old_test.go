package intercept

import (
	"testing"

	"midflight/mysqld"
)

func TestHasInvisible(t *testing.T) {
	for version, want := range map[string]bool{
		"8.0.22": false, "8.0.23": true, "9.7.4": true, "5.7.44-log": false,
		"10.2.44-MariaDB": false, "10.3.0-MariaDB": true, "5.5.5-10.11.14-MariaDB-log": true,
	} {
		f, err := mysqld.ParseFlavor(version)
		if err != nil {
			t.Fatal(err)
		}
		if got := hasInvisible(f); got != want {
			t.Errorf("%s: %v", version, got)
		}
	}
}
