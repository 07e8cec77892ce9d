package parser

import "testing"

func TestTriggerOn(t *testing.T) {
	name, table := Name{"s", "n`1"}, Name{"s", "t"}
	for _, c := range []struct {
		text string
		mode Mode
		want string // "": not understood
	}{
		{"CREATE DEFINER=`root`@`127.0.0.1` TRIGGER `tr1` BEFORE INSERT ON `t` FOR EACH ROW set new.a = 'on x'", Mode{},
			"CREATE DEFINER=`root`@`127.0.0.1` TRIGGER `s`.`n``1` BEFORE INSERT ON `s`.`t` FOR EACH ROW set new.a = 'on x'"},
		{"CREATE DEFINER=`a TRIGGER b`@`%` TRIGGER  shop . `on` after  update on /* on */ `shop`.`for each row` for  each row begin end", Mode{MariaDB: true},
			"CREATE DEFINER=`a TRIGGER b`@`%` TRIGGER  `s`.`n``1` after  update on /* on */ `s`.`t` for  each row begin end"},
		{`CREATE DEFINER="root"@"localhost" TRIGGER "tr" BEFORE DELETE ON "t" FOR EACH ROW SET @a = 1`, Mode{AnsiQuotes: true},
			"CREATE DEFINER=\"root\"@\"localhost\" TRIGGER `s`.`n``1` BEFORE DELETE ON `s`.`t` FOR EACH ROW SET @a = 1"},
		{"CREATE TRIGGER x BEFORE INSERT ON t SET @a = 1", Mode{}, ""},
		{"CREATE VIEW x AS SELECT 1", Mode{}, ""},
		{"CREATE TRIGGER x BEFORE INSERT", Mode{}, ""},
	} {
		got, ok := TriggerOn(c.text, c.mode, name, table)
		if !ok {
			got = ""
		}
		if got != c.want {
			t.Errorf("%s:\n%s, want\n%s", c.text, got, c.want)
		}
	}
	const text = "CREATE TRIGGER a.b BEFORE INSERT ON t FOR EACH ROW SET @a = 1"
	if got, ok := TriggerOn(text, Mode{}, Name{}, table); !ok || got != "CREATE TRIGGER a.b BEFORE INSERT ON `s`.`t` FOR EACH ROW SET @a = 1" {
		t.Errorf("%s, %v", got, ok)
	}
}
