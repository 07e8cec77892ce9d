package mysqld

import (
	"context"
	"fmt"
	"strconv"
	"strings"
)

// A Flavor is a server's family and version.
type Flavor struct {
	MariaDB bool
	Version int // as in version comments: 90704 is 9.7.4, 101114 is 10.11.14
}

// ParseFlavor reads the value of VERSION(), e.g. "9.7.4" or
// "10.11.14-MariaDB-0+deb12u2-log".
func ParseFlavor(version string) (Flavor, error) {
	// MariaDB before 11 may announce itself to old replicas as 5.5.5-10.x.
	v := strings.TrimPrefix(version, "5.5.5-")
	number, _, _ := strings.Cut(v, "-")
	parts := strings.SplitN(number, ".", 3)
	if len(parts) != 3 {
		return Flavor{}, fmt.Errorf("server version %q: want three numbers", version)
	}
	n := 0
	for _, p := range parts {
		i, err := strconv.Atoi(p)
		if err != nil {
			return Flavor{}, fmt.Errorf("server version %q: %w", version, err)
		}
		n = n*100 + i
	}
	return Flavor{MariaDB: strings.Contains(version, "MariaDB"), Version: n}, nil
}

// ReadFlavor asks the server.
func ReadFlavor(ctx context.Context, db Queryer) (Flavor, error) {
	var v string
	if err := db.QueryRowContext(ctx, "SELECT /* midflight */ VERSION()").Scan(&v); err != nil {
		return Flavor{}, fmt.Errorf("read the server's version: %w", err)
	}
	return ParseFlavor(v)
}

func (f Flavor) String() string {
	name := "MySQL"
	if f.MariaDB {
		name = "MariaDB"
	}
	return fmt.Sprintf("%s %d.%d.%d", name, f.Version/10000, f.Version/100%100, f.Version%100)
}
