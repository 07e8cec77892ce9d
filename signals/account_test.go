package signals

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"midflight/internal/testmysql"
	"midflight/mysqld"
)

// TestAccountMayAsk: the grants of deploy are enough for all that is asked, of the source
// and of a replica. What is not allowed is unknown, and stops every migration.
func TestAccountMayAsk(t *testing.T) {
	testmysql.Each(t, func(t *testing.T, s *testmysql.Server) {
		s.Exec(t, grants(t, s.Flavor)...)
		config := mysqld.Config{Addr: s.Addr, User: "signals_account", Password: "change me"}
		db, err := mysqld.Open(config)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		ctx := t.Context()
		flavor, err := mysqld.ReadFlavor(ctx, db)
		if err != nil {
			t.Fatal(err)
		}
		sampler := New(Config{Server: config, Flavor: flavor, DB: db})
		for what, ask := range map[string]func() error{
			"its id":             func() error { _, err := serverID(ctx, db); return err },
			"who reads":          func() error { _, err := binlogReaders(ctx, db, flavor, config.User); return err },
			"who has registered": func() error { _, err := registered(ctx, db, flavor); return err },
			"how it replicates":  func() error { _, err := readStatus(ctx, db, 0); return err },
			"a member's state":   func() error { _, err := readMember(ctx, db); return err },
			"the other members":  func() error { _, err := sampler.members(ctx, db, flavor, 0, nil, nil); return err },
			"running statements": func() error { _, err := sampler.threadsRunning(ctx); return err },
			"undo records":       func() error { _, err := sampler.historyList(ctx); return err },
		} {
			if err := ask(); err != nil {
				t.Errorf("%s: %v", what, err)
			}
		}
	})
}

// grants of deploy, for an account of this test's.
func grants(t *testing.T, f testmysql.Flavor) (list []string) {
	t.Helper()
	file := "../deploy/grants-mysql.sql"
	if f == testmysql.MariaDB {
		file = "../deploy/grants-mariadb.sql"
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	bare := regexp.MustCompile(`(?m)^--.*$`).ReplaceAllString(string(text), "")
	list = append(list, "DROP USER IF EXISTS signals_account@'%'")
	for q := range strings.SplitSeq(strings.ReplaceAll(bare, "'midflight'@'%'", "signals_account@'%'"), ";") {
		if q = strings.TrimSpace(q); q != "" {
			list = append(list, q)
		}
	}
	return list
}
