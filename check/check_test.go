package check_test

import (
	"strings"
	"testing"

	"midflight/check"
	"midflight/internal/testmysql"
	"midflight/mysqld"
)

func findings(t *testing.T, s *testmysql.Server, user string) []check.Finding {
	t.Helper()
	c := mysqld.Config{Addr: s.Addr, User: user}
	db, err := mysqld.Open(c)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	_, list, err := check.Server(t.Context(), db, c)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestAllIsWell(t *testing.T) {
	testmysql.Each(t, func(t *testing.T, s *testmysql.Server) {
		for _, f := range findings(t, s, "root") {
			if !f.OK {
				t.Errorf("%s: found %s, wanted %s", f.What, f.Found, f.Want)
			}
		}
		if err := check.Missing(findings(t, s, "root")); err != nil {
			t.Error(err)
		}
	})
}

// The statement that a finding names mends it.
func TestMend(t *testing.T) {
	testmysql.Each(t, func(t *testing.T, s *testmysql.Server) {
		s.Exec(t, "DROP USER IF EXISTS `odd'name`@'127.0.0.%'", "CREATE USER `odd'name`@'127.0.0.%'", "GRANT SELECT ON *.* TO `odd'name`@'127.0.0.%'",
			"SET GLOBAL binlog_format = 'MIXED'")
		defer s.Exec(t, "DROP USER `odd'name`@'127.0.0.%'", "SET GLOBAL binlog_format = 'ROW'")
		for round := 0; ; round++ {
			list := findings(t, s, "odd'name")
			missing := check.Missing(list)
			if missing == nil {
				if round == 0 {
					t.Error("nothing was missing")
				}
				return
			}
			if round == 2 { // what is behind missing privileges shows in the second round
				t.Fatalf("still missing: %v", missing)
			}
			for _, f := range list {
				if f.OK {
					continue
				}
				if !strings.Contains(missing.Error(), f.What) || !strings.Contains(missing.Error(), f.Mend) {
					t.Errorf("%v: doesn't say %s", missing, f.Mend)
				}
				sql, _, _ := strings.Cut(f.Mend, ";")
				s.Exec(t, sql)
			}
		}
	})
}

func TestUnreachable(t *testing.T) {
	s := testmysql.Shared(t, testmysql.MySQL)
	for _, c := range []struct {
		config mysqld.Config
		says   []string
	}{
		{mysqld.Config{Addr: "127.0.0.1:1", User: "root"}, []string{"the server 127.0.0.1:1 can't be reached", "connection refused", "Check --server"}},
		{mysqld.Config{Addr: s.Addr, User: "root", Password: "wrong"}, []string{"refuses the account root", "1045", "MIDFLIGHT_PASSWORD"}},
		{mysqld.Config{Addr: s.Addr, User: "nobody"}, []string{"refuses the account nobody", "CREATE USER 'nobody'"}},
	} {
		db, err := mysqld.Open(c.config)
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = check.Server(t.Context(), db, c.config)
		db.Close()
		for _, says := range c.says {
			if err == nil || !strings.Contains(err.Error(), says) {
				t.Errorf("%+v: %v, want …%s…", c.config, err, says)
			}
		}
	}
}

// A filtered server would copy rows and never hear of their changes.
func TestBinlogFilters(t *testing.T) {
	for _, f := range []testmysql.Flavor{testmysql.MySQL, testmysql.MariaDB} {
		t.Run(string(f), func(t *testing.T) {
			s := testmysql.Start(t, f, "--binlog-ignore-db=quiet")
			err := check.Missing(findings(t, s, "root"))
			if err == nil || !strings.Contains(err.Error(), "binlog_ignore_db=quiet") {
				t.Errorf("the filter is not found: %v", err)
			}
		})
	}
}
