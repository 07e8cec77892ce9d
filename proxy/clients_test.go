package proxy

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"midflight/internal/testmysql"
)

// client runs the flavor's own client over a link, and returns what it prints.
func client(t *testing.T, f testmysql.Flavor, l link, addr, socket, user string, args ...string) string {
	t.Helper()
	path := os.Getenv("MIDFLIGHT_MYSQL_CLIENT")
	if f == testmysql.MariaDB {
		path = filepath.Join(filepath.Dir(os.Getenv("MIDFLIGHT_MARIADBD")), "mariadb")
	}
	if _, err := os.Stat(path); err != nil {
		t.Skipf("NOT TESTED with the %s client: %v", f, err)
	}
	all := []string{"--no-defaults", "-u", user, "-N", "-e", "SELECT 'as', CURRENT_USER()"}
	switch host, port, _ := net.SplitHostPort(addr); {
	case l == linkSocket:
		all = append(all, "--socket="+socket, "--protocol=socket")
	default:
		all = append(all, "-h", host, "-P", port, "--protocol=tcp")
	}
	if f == testmysql.MySQL {
		all = append(all, "--ssl-mode="+map[link]string{linkTCP: "DISABLED", linkTLS: "REQUIRED", linkSocket: "DISABLED"}[l])
	} else if l == linkTLS {
		all = append(all, "--ssl")
	} else {
		all = append(all, "--skip-ssl")
	}
	cmd := exec.CommandContext(t.Context(), path, append(all, args...)...)
	out, _ := cmd.CombinedOutput()
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	lines = lines[max(0, len(lines)-1):] // warnings about passwords come before
	return host.ReplaceAllString(lines[0], "@'HOST'")
}

// host is where the server sees a client; a proxy on a socket is another place.
var host = regexp.MustCompile(`@'[^']*'`)

func TestMySQLClient(t *testing.T) {
	s := testmysql.Shared(t, testmysql.MySQL)
	s.Exec(t,
		"CREATE USER cli_sha2@'%' IDENTIFIED WITH caching_sha2_password BY 'se cret'",
		"CREATE USER cli_sha256@'%' IDENTIFIED WITH sha256_password BY 'secret'")
	t.Cleanup(func() { s.Exec(t, "DROP USER cli_sha2@'%', cli_sha256@'%'") })
	pinned := "--server-public-key-path=" + filepath.Join(s.Datadir, "public_key.pem")
	private := readTestKey(t, filepath.Join(s.Datadir, "private_key.pem"))
	calls := [][]string{
		{"cli_sha2", "-pse cret", "--get-server-public-key"},
		{"cli_sha2", "-pse cret"}, // without a key: the client gives up, unless the link is secure
		{"cli_sha2", "-pse cret", pinned},
		{"cli_sha2", "-pwrong", "--get-server-public-key"},
		{"cli_sha256", "-psecret", "--get-server-public-key"},
		{"cli_sha256", "-psecret", pinned},
		// The password, or the wish for a key, is in the HandshakeResponse already.
		{"cli_sha256", "-psecret", "--get-server-public-key", "--default-auth=sha256_password"},
		{"cli_sha256", "-pwrong", "--get-server-public-key", "--default-auth=sha256_password"},
		{"cli_sha256", "--default-auth=sha256_password", "--skip-password"},
		{"cli_sha2", "-pse cret", "--get-server-public-key", "--default-auth=sha256_password"},
	}
	direct := map[string]string{}
	say := func(l link, addr, socket string, call []string) string {
		t.Helper()
		s.Exec(t, "FLUSH PRIVILEGES")
		return client(t, s.Flavor, l, addr, socket, call[0], call[1:]...)
	}
	for _, l := range links {
		for _, call := range calls {
			direct[fmt.Sprint(l.link, call)] = say(l.link, s.Addr, s.Socket, call)
			t.Log("directly by", l.name, call, direct[fmt.Sprint(l.link, call)])
		}
	}
	for _, server := range links {
		conf := serverSide(t, server.link, s)
		conf.PrivateKey = private
		f := startFront(t, conf)
		for _, l := range links {
			for _, call := range calls {
				if got, want := say(l.link, f.addr, f.socket, call), direct[fmt.Sprint(l.link, call)]; got != want {
					t.Errorf("server by %s, client by %s, %v:\n%s\ndirectly\n%s", server.name, l.name, call, got, want)
				}
			}
		}
	}
	t.Run("a pinned key, and not the server's private key", func(t *testing.T) {
		f := startFront(t, serverSide(t, linkTLS, s))
		got := say(linkTCP, f.addr, "", calls[2])
		if !strings.Contains(got, "1045 (28000)") || !strings.Contains(got, "--server-private-key") {
			t.Error(got)
		}
	})
}

func TestMariaDBClient(t *testing.T) {
	s := testmysql.Start(t, testmysql.MariaDB, append(certificateFiles(t), "--plugin-load-add=auth_ed25519")...)
	s.Exec(t, "CREATE USER two@'%' IDENTIFIED VIA ed25519 USING PASSWORD('first') OR mysql_native_password USING PASSWORD('second')")
	for _, server := range links {
		f := startFront(t, serverSide(t, server.link, s))
		for _, l := range links {
			for _, password := range []string{"first", "second", "third"} {
				got := client(t, s.Flavor, l.link, f.addr, f.socket, "two", "-p"+password)
				want := client(t, s.Flavor, l.link, s.Addr, s.Socket, "two", "-p"+password)
				if got != want {
					t.Errorf("server by %s, client by %s, password %s:\n%s\ndirectly\n%s", server.name, l.name, password, got, want)
				}
			}
		}
	}
}

// The second factor is the socket's peer: no other plugin that comes with the
// server can be one.
func TestSecondFactor(t *testing.T) {
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	s := testmysql.Start(t, testmysql.MySQL, "--plugin-load-add=auth_socket.so", "--authentication-policy=*,,")
	s.Exec(t, "CREATE USER mfa@'%' IDENTIFIED WITH caching_sha2_password BY 'secret' AND IDENTIFIED WITH auth_socket AS '"+me.Username+"'")
	for _, server := range links {
		f := startFront(t, serverSide(t, server.link, s))
		for _, l := range links {
			s.Exec(t, "FLUSH PRIVILEGES")
			got := client(t, s.Flavor, l.link, f.addr, f.socket, "mfa", "--password1=secret", "--password2=any", "--get-server-public-key")
			want := "1698 (28000): Access denied for user 'mfa'@'HOST'; Midflight: "
			if server.link == linkSocket {
				want = "as\tmfa@%"
			}
			if !strings.Contains(got, want) {
				t.Errorf("server by %s, client by %s: %s", server.name, l.name, got)
			}
		}
	}
}
