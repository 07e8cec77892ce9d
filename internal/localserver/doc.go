// Package localserver runs private MySQL and MariaDB servers on this machine:
// it finds the executable, makes the data folder, starts the server and ends
// it. Tests use it through internal/testmysql; the demo uses it directly.
package localserver

// A Flavor is one of the servers that can be started.
type Flavor string

const (
	MySQL   Flavor = "mysql"
	MariaDB Flavor = "mariadb"
)

// Flavors are all of them, in the order in which tests run.
var Flavors = []Flavor{MySQL, MariaDB}
