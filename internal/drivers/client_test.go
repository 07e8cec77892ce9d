package drivers

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"midflight/internal/testmysql"
)

// The servers' own command-line clients execute script.sql, and tell the types
// of all columns, the warnings, and what each statement did.
func (s *site) clients(t *testing.T) map[string][]string {
	t.Helper()
	mysql := os.Getenv("MIDFLIGHT_MYSQL_CLIENT")
	if mysql == "" {
		missing(t, "MIDFLIGHT_MYSQL_CLIENT names no client: eval \"$(scripts/servers env)\"")
	}
	clients := map[string][]string{"mariadb": {filepath.Join(filepath.Dir(os.Getenv("MIDFLIGHT_MARIADBD")), "mariadb"), "mariadb"}}
	if s.Flavor == testmysql.MySQL { // which has no password plugin in common with MariaDB
		clients["mysql"] = []string{mysql, "mysql"}
	}
	return clients
}

// script is the shell's command that has a client execute files, by the
// environment of a conversation.
func script(t *testing.T, program, kind string, files ...string) []string {
	t.Helper()
	const options = `--no-defaults --force -vvv --column-type-info --show-warnings --comments --local-infile=1 --default-character-set=utf8mb4 --unbuffered -h $DB_HOST -P $DB_PORT -u $DB_USER -p$DB_PASSWORD`
	set := `if [ $DB_TLS = 1 ]; then set -- --ssl --ssl-verify-server-cert --ssl-ca=$DB_CA; fi; [ $DB_COMPRESS = 0 ] || set -- "$@" --compress`
	unknown := "RESETCONNECTION|QUERY_ATTRIBUTES"
	if kind == "mysql" {
		set = `if [ $DB_TLS = 1 ]; then set -- --ssl-mode=VERIFY_IDENTITY --ssl-ca=$DB_CA; else set -- --ssl-mode=DISABLED --get-server-public-key; fi; [ $DB_COMPRESS = 0 ] || set -- "$@" --compression-algorithms=$DB_ALGORITHM`
		unknown = "none"
	}
	return []string{"sh", "-c", `awk 'BEGIN { for (i = 0; i < 20000; i++) print i "\trow " i }' >rows
` + set + `
cat ` + strings.Join(files, " ") + ` | grep -E -v '^(` + unknown + `)' |
	` + program + ` ` + options + ` "$@" $DB_NAME 2>&1 | sed 's/ ([0-9.]* sec)//; s/ ([0-9]* min [0-9.]* sec)//'
echo end`}
}

// pluginDir is where the unpacked MariaDB client finds MySQL's password plugin.
func pluginDir() []string {
	found, _ := filepath.Glob(filepath.Join(filepath.Dir(filepath.Dir(os.Getenv("MIDFLIGHT_MARIADBD"))), "root", "usr", "lib", "*", "libmariadb3", "plugin"))
	if len(found) == 0 {
		return nil
	}
	return []string{"MARIADB_PLUGIN_DIR=" + found[0]}
}

func TestClients(t *testing.T) {
	eachSite(t, func(t *testing.T, s *site) {
		for name, c := range s.clients(t) {
			t.Run(name, func(t *testing.T) {
				talk := []string{testdata(t, "script.sql")}
				if c[1] == "mysql" {
					talk = append(talk, testdata(t, "attributes.sql"))
				}
				s.talks(t, script(t, c[0], c[1], talk...), pluginDir(), smallPlain, smallTLS)
			})
		}
	})
}

// Values that a lenient session's ALTER cuts are warned of.
func TestCutValues(t *testing.T) {
	eachSite(t, func(t *testing.T, s *site) {
		for name, c := range s.clients(t) {
			t.Run(name, func(t *testing.T) {
				program := script(t, c[0], c[1], testdata(t, "cut.sql"))
				s.talks(t, program, pluginDir(), smallPlain)
			})
		}
	})
}
