package signals

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"midflight/mysqld"
	"midflight/throttle"
)

// Replicas says which are watched: those that are found, and theirs, or those that are named.
type Replicas struct {
	Find  bool
	Named []string // HOST:PORT
}

// ParseReplicas reads auto, none or a list of HOST:PORT with commas between.
func ParseReplicas(s string) (Replicas, error) {
	switch strings.ToLower(strings.TrimSpace(s)) {
	case "auto":
		return Replicas{Find: true}, nil
	case "none", "":
		return Replicas{}, nil
	}
	var r Replicas
	for _, addr := range strings.Split(s, ",") {
		addr = strings.TrimSpace(addr)
		if _, _, err := net.SplitHostPort(addr); err != nil {
			return Replicas{}, fmt.Errorf("%q is no replica's address: want auto, none, or HOST:PORT with commas between", addr)
		}
		r.Named = append(r.Named, addr)
	}
	return r, nil
}

// rarely are they looked for while nothing is copied: each is logged in to.
const rarely = 20 * time.Second

const lostSource = "replicas that are not found"

// longGone: a replica that neither its source lists nor anybody reaches is taken for one
// that was taken out of service.
const longGone = time.Minute

// watchReplicas watches each replica that is named or found, in a goroutine of its own.
func (s *Sampler) watchReplicas(ctx context.Context) {
	watchers := map[string]*watcher{} // by their addresses
	known := addresses{}
	var last time.Time
	s.repeat(ctx, 2*sampleEvery, func(ctx context.Context, busy bool) {
		if !busy && time.Since(last) < rarely {
			return
		}
		last = time.Now()
		list, err := s.listReplicas(ctx, known)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			s.publish(lostSource, throttle.Reading{Signal: throttle.ReplicaLag, At: time.Now(), Problem: err.Error()})
			s.countReplicas(len(watchers))
			return
		}
		s.forget(lostSource)
		listed := map[string]bool{}
		for _, r := range list {
			listed[r.addr] = true
			if watchers[r.addr] != nil {
				continue
			}
			w, err := s.watch(ctx, r)
			if err != nil {
				s.publish(lostSource, throttle.Reading{Signal: throttle.ReplicaLag, Of: r.addr, At: time.Now(), Problem: err.Error()})
				continue
			}
			watchers[r.addr] = w
		}
		for addr, w := range watchers {
			if !listed[addr] && w.gone() {
				w.stop()
				delete(watchers, addr)
			}
		}
		s.countReplicas(len(watchers))
	})
	for _, w := range watchers {
		w.stop()
	}
}

func (s *Sampler) countReplicas(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.replicas, s.found = n, time.Now()
}

// addresses at which replicas were found before, by their server's ids: whoever looks for one
// tries that first, and doesn't wait for addresses that lead nowhere.
type addresses map[int64]string

// A replica is a server that follows ours, or follows one that does.
type replica struct {
	addr   string
	source int64 // the id of the server that it follows; 0: not known
	member bool  // it does as a member of the same group
}

func (s *Sampler) listReplicas(ctx context.Context, known addresses) (list []replica, err error) {
	for _, addr := range s.Replicas.Named {
		list = append(list, replica{addr: addr})
	}
	if !s.Replicas.Find {
		return list, nil
	}
	bound, cancel := context.WithTimeout(ctx, 2*patience)
	defer cancel()
	host, _, _ := net.SplitHostPort(s.Server.Addr)
	return s.follow(bound, s.DB, s.Flavor, host, map[int64]bool{}, known)
}

// follow finds the replicas of a server, and theirs. What reads the binlog and is no server
// (Debezium, a Midflight) is none.
func (s *Sampler) follow(ctx context.Context, db *sql.DB, flavor mysqld.Flavor, host string, seen map[int64]bool, known addresses) (list []replica, err error) {
	id, err := serverID(ctx, db)
	if err != nil {
		return nil, fmt.Errorf("ask for the server's id: %w", err)
	}
	if seen[id] {
		return nil, nil
	}
	seen[id] = true
	if list, err = s.members(ctx, db, flavor, id, seen, known); err != nil {
		return nil, err
	}
	readers, err := binlogReaders(ctx, db, flavor, s.Server.User)
	if err != nil || len(readers) == 0 {
		return list, err
	}
	entries, err := registered(ctx, db, flavor)
	if err != nil {
		return nil, err
	}
	found := 0
	for _, e := range entries {
		if seen[e.id] { // in a ring a server comes to be a replica of its own
			found++
			continue
		}
		for _, addr := range e.candidates(readers, host, known[e.id]) {
			at, err := mysqld.Open(mysqld.Config{Addr: addr, User: s.Server.User, Password: s.Server.Password})
			if err != nil {
				continue
			}
			theirs, err := s.ifIs(ctx, at, e, addr, seen, known)
			at.Close()
			if err == nil {
				found++
				known[e.id] = addr
				list = append(append(list, replica{addr: addr, source: id}), theirs...)
				break
			}
		}
	}
	if found < len(readers) {
		return nil, fmt.Errorf("%d of the %d replicas, which read the binlog from %s, are not found or can't be asked by the account %s. Name them (--replicas), or set their report_host and give them the account",
			len(readers)-found, len(readers), strings.Join(readers, ", "), s.Server.User)
	}
	return list, nil
}

// members of the replication group that a server is in, but for itself, and their replicas.
// They don't read the binlog, nor do they register.
func (s *Sampler) members(ctx context.Context, db *sql.DB, flavor mysqld.Flavor, id int64, seen map[int64]bool, known addresses) (list []replica, err error) {
	if flavor.MariaDB {
		return nil, nil
	}
	all, err := rowMaps(ctx, db, `SELECT /* midflight */ other.member_id AS uuid, other.member_host AS host, other.member_port AS port
FROM performance_schema.replication_group_members me
JOIN performance_schema.replication_group_members other ON other.member_id <> me.member_id
WHERE me.member_id = @@GLOBAL.server_uuid AND me.member_state = 'ONLINE' AND other.member_state = 'ONLINE'`)
	if err != nil {
		return nil, fmt.Errorf("ask for the members of the replication group: %w", err)
	}
	for _, row := range all {
		addr := net.JoinHostPort(row["host"], row["port"])
		at, err := mysqld.Open(mysqld.Config{Addr: addr, User: s.Server.User, Password: s.Server.Password})
		if err != nil {
			return nil, fmt.Errorf("ask %s, a member of the replication group: %w", addr, err)
		}
		theirs, err := s.ifIs(ctx, at, entry{uuid: row["uuid"]}, addr, seen, known)
		at.Close()
		if errors.Is(err, errSeen) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("%s, a member of the replication group, is not found there or can't be asked by the account %s: %w. Name the replicas (--replicas), or set its report_host", addr, s.Server.User, err)
		}
		list = append(append(list, replica{addr: addr, source: id, member: true}), theirs...)
	}
	return list, nil
}

// ifIs is an error unless the server at the address is the one that has registered, or is
// a member; it returns its replicas.
func (s *Sampler) ifIs(ctx context.Context, db *sql.DB, e entry, addr string, seen map[int64]bool, known addresses) ([]replica, error) {
	bound, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	id, err := serverID(bound, db)
	if err != nil {
		return nil, err
	}
	if e.id != 0 && id != e.id { // a member tells only its uuid
		return nil, errOther
	}
	if seen[id] {
		return nil, errSeen
	}
	if e.uuid != "" { // an id is one of a cluster's, and at the address another's may be
		var uuid string
		if err := db.QueryRowContext(bound, "SELECT /* midflight */ @@GLOBAL.server_uuid").Scan(&uuid); err != nil || uuid != e.uuid {
			return nil, errOther
		}
	}
	flavor, err := mysqld.ReadFlavor(bound, db)
	if err != nil {
		return nil, err
	}
	host, _, _ := net.SplitHostPort(addr)
	return s.follow(ctx, db, flavor, host, seen, known)
}

var (
	errOther = errors.New("it is another server")
	errSeen  = errors.New("it was found before")
)

func serverID(ctx context.Context, db *sql.DB) (id int64, err error) {
	err = db.QueryRowContext(ctx, "SELECT /* midflight */ @@GLOBAL.server_id").Scan(&id)
	return id, err
}

// binlogReaders are the hosts from which replicas read the binlog, one for each. MySQL's
// say what they are (manual 29.12.9, connection attributes), where the performance schema
// keeps that. Of others is known that they are none of ours.
func binlogReaders(ctx context.Context, db *sql.DB, flavor mysqld.Flavor, ours string) ([]string, error) {
	told := false
	if !flavor.MariaDB {
		// What a replica says of itself has some 250 bytes. Where less is kept it may be
		// cut off, and a replica would look like a reader that is none.
		if err := db.QueryRowContext(ctx, "SELECT /* midflight */ @@GLOBAL.performance_schema AND @@GLOBAL.performance_schema_session_connect_attrs_size >= 512").Scan(&told); err != nil {
			return nil, fmt.Errorf("ask who reads the binlog: %w", err)
		}
	}
	all, err := mysqld.Processes(ctx, db)
	if err != nil {
		return nil, fmt.Errorf("ask who reads the binlog: %w", err)
	}
	replicas := map[uint64]bool{}
	if told {
		if replicas, err = tellReplicas(ctx, db); err != nil {
			return nil, err
		}
	}
	var hosts []string
	for _, p := range all {
		if !p.IsBinlogDump() {
			continue
		}
		// A thread that the performance schema has no room for tells nothing either.
		if is, told := replicas[p.ID]; is || !told && p.User != ours {
			hosts = append(hosts, p.Host)
		}
	}
	return hosts, nil
}

// tellReplicas tells of each connection that reads the binlog whether a replica does.
// (mysqlbinlog calls itself a listener, too, and lets nobody wait.)
func tellReplicas(ctx context.Context, db *sql.DB) (map[uint64]bool, error) {
	rows, err := db.QueryContext(ctx, `SELECT /* midflight */ t.processlist_id, COALESCE(role.attr_value = 'binary_log_listener', FALSE) AND COALESCE(program.attr_value, '') <> 'mysqlbinlog'
FROM performance_schema.threads t
LEFT JOIN performance_schema.session_connect_attrs role ON role.processlist_id = t.processlist_id AND role.attr_name = '_client_role'
LEFT JOIN performance_schema.session_connect_attrs program ON program.processlist_id = t.processlist_id AND program.attr_name = 'program_name'
WHERE t.processlist_command LIKE 'Binlog Dump%'`)
	if err != nil {
		return nil, fmt.Errorf("ask who reads the binlog: %w", err)
	}
	defer rows.Close()
	replicas := map[uint64]bool{}
	for rows.Next() {
		var id uint64
		var is bool
		if err := rows.Scan(&id, &is); err != nil {
			return nil, fmt.Errorf("ask who reads the binlog: %w", err)
		}
		replicas[id] = is
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("ask who reads the binlog: %w", err)
	}
	return replicas, nil
}

// An entry is what a replica tells of itself when it registers.
type entry struct {
	id         int64
	host, port string // host: report_host; "" where that is not set
	uuid       string // "": MariaDB has none
}

// candidates are the addresses at which it may be, the likeliest first. known: at which it
// was; "" if nobody knows.
func (e entry) candidates(readers []string, source, known string) (addrs []string) {
	hosts := readers
	if e.host != "" {
		hosts = append([]string{e.host}, readers...)
	}
	seen := map[string]bool{}
	if known != "" {
		addrs, seen[known] = append(addrs, known), true
	}
	for _, h := range hosts {
		if h == "localhost" && source != "" { // by a socket: of the same machine as its source
			h = source
		}
		if addr := net.JoinHostPort(h, e.port); !seen[addr] {
			seen[addr] = true
			addrs = append(addrs, addr)
		}
	}
	return addrs
}

// registered lists who has registered as a replica.
func registered(ctx context.Context, db *sql.DB, flavor mysqld.Flavor) (list []entry, err error) {
	query := "SHOW /* midflight */ REPLICAS"
	if flavor.MariaDB || flavor.Version < 80022 {
		query = "SHOW /* midflight */ SLAVE HOSTS"
	}
	all, err := rowMaps(ctx, db, query)
	if err != nil {
		return nil, fmt.Errorf("ask for the replicas (midflight check says what the account lacks; or name them: --replicas): %w", err)
	}
	for _, row := range all {
		e := entry{host: row["Host"], port: row["Port"], uuid: first(row, "Replica_UUID", "Slave_UUID")}
		fmt.Sscan(first(row, "Server_Id", "Server_id"), &e.id)
		list = append(list, e)
	}
	return list, nil
}

// rowMaps reads a SHOW statement, whose columns differ from version to version.
func rowMaps(ctx context.Context, db *sql.DB, query string) ([]map[string]string, error) {
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	names, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	var all []map[string]string
	for rows.Next() {
		values, into := make([]sql.NullString, len(names)), make([]any, len(names))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			return nil, err
		}
		row := map[string]string{}
		for i, name := range names {
			if values[i].Valid {
				row[name] = values[i].String
			}
		}
		all = append(all, row)
	}
	return all, rows.Err()
}

// first of the columns that is there: terms have changed.
func first(row map[string]string, names ...string) string {
	for _, n := range names {
		if v, ok := row[n]; ok {
			return v
		}
	}
	return ""
}
