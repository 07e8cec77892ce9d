package drivers

import (
	"bytes"
	"database/sql"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// A line is how a conversation reaches the server.
type line struct {
	tls, compress, big bool
}

func (l line) String() string {
	name := "plain"
	if l.tls {
		name = "tls"
	}
	if l.compress {
		name += "-compressed"
	}
	return name
}

// talks compares a program's conversations over some lines.
func (s *site) talks(t *testing.T, program []string, env []string, lines ...line) {
	t.Helper()
	for _, l := range lines {
		t.Run(l.String(), func(t *testing.T) {
			direct := s.talk(t, s.Addr, program, env, l)
			through := s.talk(t, s.m.Addr, program, env, l)
			if len(direct) < 50 || direct[len(direct)-1] != "end" {
				t.Errorf("the conversation didn't reach its end:\n%s", strings.Join(direct[max(0, len(direct)-20):], "\n"))
			}
			if difference := compare(direct, through); difference != "" {
				t.Errorf("through midflight is different:\n%s", difference)
			}
			t.Logf("%d lines", len(direct))
			if dir := os.Getenv("MIDFLIGHT_TALKS"); dir != "" { // to look at
				name := filepath.Join(dir, strings.ReplaceAll(t.Name(), "/", "-"))
				os.WriteFile(name+"-direct", []byte(strings.Join(direct, "\n")+"\n"), 0o644)
				os.WriteFile(name+"-through", []byte(strings.Join(through, "\n")+"\n"), 0o644)
			}
		})
	}
}

// talk has one conversation, in a schema talk that is empty, as a user whose
// password the server has in its cache: the first login over a plain line would
// be another.
func (s *site) talk(t *testing.T, addr string, program, env []string, l line) []string {
	t.Helper()
	s.Exec(t, "DROP DATABASE IF EXISTS talk", "CREATE DATABASE talk CHARACTER SET utf8mb4")
	for _, login := range []string{"app:secret", "other:different"} {
		db, err := sql.Open("mysql", login+"@tcp("+s.Addr+")/talk?tls=skip-verify")
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Ping(); err != nil {
			t.Fatalf("log in: %v", err)
		}
		db.Close()
	}
	host, port, _ := net.SplitHostPort(addr)
	flag := func(name string, on bool) string {
		if on {
			return name + "=1"
		}
		return name + "=0"
	}
	cmd := exec.CommandContext(t.Context(), program[0], program[1:]...)
	cmd.Env = append(append(os.Environ(), env...), "DB_HOST="+host, "DB_PORT="+port, "DB_USER=app", "DB_PASSWORD=secret", "DB_NAME=talk",
		"DB_FLAVOR="+string(s.Flavor), "DB_CA="+s.cert.ca, "LC_ALL=C.UTF-8", "TZ=UTC",
		flag("DB_TLS", l.tls), flag("DB_COMPRESS", l.compress), flag("DB_BIG", l.big))
	cmd.Dir = t.TempDir()
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("the conversation with %s: %v", addr, err)
	}
	out = bytes.ReplaceAll(out, []byte(cmd.Dir), []byte("DIR"))
	return strings.Split(strings.TrimSuffix(mask(string(out), port), "\n"), "\n")
}

var notOurs = regexp.MustCompile(`(?i)\b((?:conn|connection|thread)(?:[ _]id|)(?:\(\))?(?: is|:| =|=|)) ?\d+`)

// mask hides what differs between any two conversations with one server.
func mask(out, port string) string {
	out = strings.NewReplacer(":"+port, ":PORT", "port="+port, "port=PORT").Replace(out)
	return notOurs.ReplaceAllString(out, "$1 N")
}

// compare shows the first lines in which two conversations differ, after those
// that led there.
func compare(direct, through []string) string {
	for i := range max(len(direct), len(through)) {
		if i < len(direct) && i < len(through) && direct[i] == through[i] {
			continue
		}
		var b strings.Builder
		for _, l := range direct[max(0, i-6):i] {
			fmt.Fprintln(&b, " ", l)
		}
		for _, l := range direct[i:min(len(direct), i+8)] {
			fmt.Fprintln(&b, "-", l)
		}
		for _, l := range through[i:min(len(through), i+8)] {
			fmt.Fprintln(&b, "+", l)
		}
		return b.String()
	}
	return ""
}

var (
	bigPlain   = line{big: true}
	smallTLS   = line{tls: true}
	smallPlain = line{}
	bigTLS     = line{tls: true, big: true}
)

// compiled builds the C program.
func compiled(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "talk")
	older := filepath.Join(cached(t, "root"), "lib", filepath.Base(library(t)))
	out, err := exec.CommandContext(t.Context(), system(t, "gcc"), "-O1", "-Wall", "-Werror", "-o", program, testdata(t, "c", "talk.c"),
		"-I", cached(t, "root", "usr", "include", "mariadb"), "-L", library(t), "-lmariadb", "-lpthread",
		"-Wl,-rpath-link,"+library(t)+":"+older).CombinedOutput()
	if err != nil {
		t.Fatalf("compile: %v\n%s", err, out)
	}
	return program
}

// java compiles the Java program, and is its command.
func java(t *testing.T) []string {
	t.Helper()
	jar, dir := cached(t, "root", "usr", "share", "java", "mariadb-java-client.jar"), t.TempDir()
	out, err := exec.CommandContext(t.Context(), system(t, "javac"), "-encoding", "UTF-8", "-cp", jar, "-d", dir, testdata(t, "java", "Talk.java")).CombinedOutput()
	if err != nil {
		t.Fatalf("compile: %v\n%s", err, out)
	}
	return []string{system(t, "java"), "-XX:TieredStopAtLevel=1", "-cp", jar + ":" + dir, "Talk"}
}

// A conversation is a program in testdata, and the lines that it is had over.
type conversation struct {
	name    string
	program func(t *testing.T) []string
	env     func(t *testing.T) []string
	lines   []line
}

var conversations = []conversation{
	{"c", func(t *testing.T) []string { return []string{compiled(t)} },
		func(t *testing.T) []string { return libraryPath(t) }, []line{bigPlain, smallTLS}},
	{"node", func(t *testing.T) []string { return []string{system(t, "node"), testdata(t, "node", "talk.js")} },
		func(t *testing.T) []string { return []string{"DB_MODULES=" + cached(t, "node_modules")} }, []line{smallPlain, bigTLS}},
	{"python", func(t *testing.T) []string {
		return []string{cached(t, "bin", "python3"), testdata(t, "python", "talk.py")}
	}, nothing, []line{bigPlain, smallTLS}},
	{"java", java, nothing, []line{bigPlain, smallTLS}},
	{"php", func(t *testing.T) []string { return []string{cached(t, "bin", "php"), testdata(t, "php", "talk.php")} },
		nothing, []line{bigPlain, smallTLS}},
	{"perl", func(t *testing.T) []string {
		return []string{cached(t, "bin", "perl"), testdata(t, "perl", "talk.pl")}
	}, nothing, []line{smallPlain, bigTLS}},
}

func TestTalks(t *testing.T) {
	eachSite(t, func(t *testing.T, s *site) {
		for _, c := range conversations {
			t.Run(c.name, func(t *testing.T) { s.talks(t, c.program(t), c.env(t), c.lines...) })
		}
	})
}

// PyMySQL knows no compression; the others but Oracle's client only zlib.
func TestCompression(t *testing.T) {
	lines := []line{{tls: true, compress: true, big: true}}
	eachSite(t, func(t *testing.T, s *site) {
		for _, c := range conversations {
			lines := lines
			switch c.name {
			case "python": // knows no compression
				continue
			case "c": // loses a compressed connection at a packet of 16 MB, directly too
				lines = []line{{compress: true}}
			}
			t.Run(c.name, func(t *testing.T) { s.talks(t, c.program(t), c.env(t), lines...) })
		}
		for name, c := range s.clients(t) {
			for _, algorithm := range []string{"zlib", "zstd"} {
				if algorithm == "zlib" || name == "mysql" {
					t.Run(name+"-"+algorithm, func(t *testing.T) {
						s.talks(t, script(t, c[0], c[1], testdata(t, "script.sql")), append(pluginDir(), "DB_ALGORITHM="+algorithm), lines...)
					})
				}
			}
		}
	})
}
