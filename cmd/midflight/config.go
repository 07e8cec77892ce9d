package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"midflight/ghost"
	"midflight/mysqld"
	"midflight/signals"
	"midflight/throttle"
)

// config is everything that can be set. Each field is a flag, an environment
// variable and a key of the file, in this order of precedence; the names are a
// contract.
type config struct {
	Server       string
	User         string
	PasswordFile string
	Password     string // environment and file only: a flag shows in ps
	Listen       string
	HTTP         string
	KeepOld      time.Duration
	Bounds       ghost.Bounds
	MemoryMiB    int
	Rules        throttle.Rules
	Replicas     signals.Replicas
	Query        string
	LogLevel     string
	Drain        time.Duration

	HTTPTokenFile string
	HTTPTLSCert   string
	HTTPTLSKey    string
	HTTPClientCA  string

	TLSCert     string
	TLSKey      string
	TLSClientCA string

	ServerTLS        string
	ServerCA         string
	ServerCert       string
	ServerKey        string
	ServerPrivateKey string

	ProxyProtocolNetworks string
	ServerProxyProtocol   string

	MaxConnections     int
	MaxUserConnections int
	MaxHandshakes      int
}

func (c *config) serverFlags(f *flag.FlagSet) {
	f.StringVar(&c.Server, "server", "127.0.0.1:3306", "the MySQL or MariaDB server, `HOST:PORT` or the path of its socket")
	f.StringVar(&c.User, "user", "midflight", "Midflight's own account on the server")
	f.StringVar(&c.PasswordFile, "password-file", "", "`FILE` with the account's password (or set MIDFLIGHT_PASSWORD)")
}

func (c *config) serveFlags(f *flag.FlagSet) {
	c.serverFlags(f)
	f.StringVar(&c.Listen, "listen", "127.0.0.1:3307", "where clients connect, `HOST:PORT` or the path of a socket; several with commas between")
	f.StringVar(&c.HTTP, "http", "127.0.0.1:9307", "`HOST:PORT` or the path of a socket for the page of migrations, /healthz, /readyz and /metrics")
	f.StringVar(&c.HTTPTokenFile, "http-token-file", "", "`FILE` with the token that the page and /metrics need, as a bearer's or as anybody's password; read for each request. Off loopback it or --http-client-ca is needed")
	f.StringVar(&c.HTTPTLSCert, "http-tls-cert", "", "certificate `FILE` (PEM) of the HTTP side; read again like --tls-cert")
	f.StringVar(&c.HTTPTLSKey, "http-tls-key", "", "key `FILE` (PEM) of --http-tls-cert")
	f.StringVar(&c.HTTPClientCA, "http-client-ca", "", "`FILE` (PEM) with the CAs whose certificates open the page and /metrics")
	f.StringVar(&c.TLSCert, "tls-cert", "", "certificate `FILE` (PEM) offered to clients, best the server's own; read again when it changes, and on SIGHUP")
	f.StringVar(&c.TLSKey, "tls-key", "", "key `FILE` (PEM) of --tls-cert")
	f.StringVar(&c.TLSClientCA, "tls-client-ca", "", "`FILE` (PEM) with the CAs of clients' certificates; with it, clients on TCP must use TLS and have one")
	f.StringVar(&c.ServerTLS, "server-tls", "match", "TLS with the server: match (if the client uses it), on, off")
	f.StringVar(&c.ServerCA, "server-ca", "", "`FILE` (PEM) with the CAs that the server's certificate must come from; read again like --tls-cert")
	f.StringVar(&c.ServerCert, "server-cert", "", "certificate `FILE` (PEM) that the server is shown for every client; read again like --tls-cert")
	f.StringVar(&c.ServerKey, "server-key", "", "key `FILE` (PEM) of --server-cert")
	f.StringVar(&c.ServerPrivateKey, "server-private-key", "", "the server's private_key.pem, `FILE`, for clients that bring its public key and meet --server-tls on")
	f.StringVar(&c.ProxyProtocolNetworks, "proxy-protocol-networks", "", "`CIDR`s, with commas between, where clients connect through a proxy that sends a PROXY header (v1, v2)")
	f.StringVar(&c.ServerProxyProtocol, "server-proxy-protocol", "off", "PROXY header sent to the server: off, v1, v2")
	f.IntVar(&c.MaxConnections, "max-connections", 0, "how many clients may be connected; 0: no limit but the server's")
	f.IntVar(&c.MaxUserConnections, "max-user-connections", 0, "how many connections one user may have; 0: no limit but the server's")
	f.IntVar(&c.MaxHandshakes, "max-handshakes", 128, "how many clients may be connected that have not logged in; more wait, and those that don't go on leave")
	f.DurationVar(&c.KeepOld, "keep-old", ghost.DefaultKeepOld, "how long the old table is kept as _TABLE_old after a copy; 0 drops it at once")
	c.Bounds = ghost.DefaultBounds
	f.DurationVar(&c.Bounds.Hold, "cutover-hold", c.Bounds.Hold, "for how long statements on the table are held in an attempt at its exclusive lock, at most")
	f.DurationVar(&c.Bounds.Pause, "cutover-pause", c.Bounds.Pause, "pause after the first attempt; it doubles with each, up to forty times")
	f.Func("cutover-blocked", "what is done when others have kept a change from its lock for --cutover-blocked-after: `POLICY` wait (the default), fail (the statement ends with error 1205) or kill (their connections are ended)", func(s string) (err error) {
		c.Bounds.Blocked, err = ghost.ParsePolicy(s)
		return err
	})
	f.DurationVar(&c.Bounds.BlockedAfter, "cutover-blocked-after", c.Bounds.BlockedAfter, "see --cutover-blocked")
	c.Rules = throttle.DefaultRules
	f.Func("limit", "beyond what no rows are copied, `RULE=VALUE` with commas between, the value off for no limit: "+strings.Join(throttle.Names(), ", ")+" (docs/throttling.md). CALL midflight.limit changes them while it runs", func(s string) (err error) {
		c.Rules, err = c.Rules.WithAll(s)
		return err
	})
	c.Replicas = signals.Replicas{Find: true}
	f.Func("replicas", "whose lag is watched: auto (those that read the server's binlog, and theirs), none, or `HOST:PORT` with commas between; asked with Midflight's own account", func(s string) (err error) {
		c.Replicas, err = signals.ParseReplicas(s)
		return err
	})
	f.StringVar(&c.Query, "throttle-query", "", "a `SELECT` of one number, asked each second while rows are copied: none are when it is at the limit query (1) or above")
	f.IntVar(&c.MemoryMiB, "memory", ghost.DefaultMemory>>20, "MiB that each migration's changed keys may take; when it is full, changes wait in the server's binlog")
	f.DurationVar(&c.Drain, "drain", 30*time.Second, "on SIGTERM, for how long clients may end their transactions before their connections are cut; 0: not at all. SIGUSR2 hands over to a new process of the binary, with the same arguments, and drains then")
	f.StringVar(&c.LogLevel, "log-level", "info", "debug, info, warn or error")
}

// parse reads args, then the environment and the file for what args leave out.
func (c *config) parse(name string, args []string, stderr io.Writer, flags func(*config, *flag.FlagSet)) ([]string, error) {
	f := flag.NewFlagSet("midflight "+name, flag.ContinueOnError)
	f.SetOutput(stderr)
	f.Usage = commandUsage(name, f)
	file := f.String("config", os.Getenv("MIDFLIGHT_CONFIG"), "`FILE` (YAML) with a key for each flag")
	flags(c, f)
	var plain []string // what is no flag; flags may stand behind it, too
	for {
		if err := f.Parse(args); err != nil {
			if errors.Is(err, flag.ErrHelp) {
				return nil, err
			}
			return nil, usageError{err}
		}
		if f.NArg() == 0 {
			break
		}
		plain, args = append(plain, f.Arg(0)), f.Args()[1:]
	}
	given := map[string]bool{}
	f.Visit(func(f *flag.Flag) { given[f.Name] = true })
	values, err := readFile(*file)
	if err != nil {
		return nil, err
	}
	for key := range values {
		if f.Lookup(key) == nil && key != "password" && !knownElsewhere(key) {
			return nil, usageError{fmt.Errorf("%s: no setting %q", *file, key)}
		}
	}
	f.VisitAll(func(g *flag.Flag) {
		if given[g.Name] || g.Name == "config" {
			return
		}
		value, ok := os.LookupEnv(variable(g.Name))
		if !ok {
			value, ok = values[g.Name]
		}
		if ok {
			if e := g.Value.Set(value); e != nil && err == nil {
				err = usageError{fmt.Errorf("%s = %q: %w", variable(g.Name), value, e)}
			}
		}
	})
	if err != nil {
		return nil, err
	}
	c.Password = values["password"]
	if p, ok := os.LookupEnv("MIDFLIGHT_PASSWORD"); ok {
		c.Password = p
	}
	if c.PasswordFile != "" {
		b, err := os.ReadFile(c.PasswordFile)
		if err != nil {
			return nil, fmt.Errorf("read the password: %w", err)
		}
		c.Password = strings.TrimRight(string(b), "\r\n")
	}
	return plain, nil
}

// noArgs refuses arguments to a command that takes none: a forgotten dash would
// go unnoticed.
func noArgs(command string, rest []string, err error) error {
	if err == nil && len(rest) > 0 {
		return usageError{fmt.Errorf("%s: what is %q? A flag begins with --", command, rest[0])}
	}
	return err
}

// variable is a flag's environment variable: password-file,
// MIDFLIGHT_PASSWORD_FILE.
func variable(flag string) string {
	return "MIDFLIGHT_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// knownElsewhere: one file serves all commands.
func knownElsewhere(key string) bool {
	f := flag.NewFlagSet("", flag.ContinueOnError)
	new(config).serveFlags(f)
	return f.Lookup(key) != nil
}

func readFile(path string) (map[string]string, error) {
	if path == "" {
		return nil, nil
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the configuration: %w", err)
	}
	values := map[string]string{}
	err = yaml.Unmarshal(b, &values)
	if errors.As(err, new(*yaml.TypeError)) { // which quotes the value, a password perhaps
		return nil, fmt.Errorf("read the configuration %s: want lines of KEY: VALUE, a key for each flag", path)
	}
	if err != nil {
		return nil, fmt.Errorf("read the configuration %s: %w", path, err)
	}
	return values, nil
}

func (c *config) account() mysqld.Config {
	return mysqld.Config{Addr: c.Server, User: c.User, Password: c.Password}
}
