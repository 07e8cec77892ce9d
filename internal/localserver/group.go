package localserver

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"
)

// StartGroup starts so many MySQL servers that are one replication group, and returns when
// each is a member of it: of one primary, the first, or all of them primaries.
func StartGroup(ctx context.Context, members int, multiPrimary bool, args ...string) (servers []*Server, err error) {
	program, err := Find(MySQL)
	if err != nil {
		return nil, err
	}
	from, err := template(ctx, MySQL, program)
	if err != nil {
		return nil, err
	}
	var seeds []string
	for range members {
		port, err := FreePort()
		if err != nil {
			return nil, err
		}
		seeds = append(seeds, fmt.Sprintf("127.0.0.1:%d", port))
	}
	defer func() { servers, err = orNone(servers, err) }()
	started, errs := make([]*Server, members), make([]error, members)
	var starting sync.WaitGroup
	for n := range members {
		starting.Go(func() {
			started[n], errs[n] = start(ctx, MySQL, program, from, func(*Server) ([]string, error) {
				return append(asMember(seeds, n, multiPrimary), args...), nil
			})
		})
	}
	starting.Wait()
	for _, s := range started {
		if s != nil {
			servers = append(servers, s)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return servers, err
	}
	for n, s := range servers {
		if err := s.JoinGroup(ctx, n == 0); err != nil {
			return servers, fmt.Errorf("member %d: %w\n%s", n+1, err, tail(s.ErrorLog(), 30))
		}
	}
	return servers, nil
}

// asMember are the arguments with which a server can be a member.
func asMember(seeds []string, n int, multiPrimary bool) []string {
	single, checks := "ON", "OFF"
	if multiPrimary {
		single, checks = "OFF", "ON"
	}
	return []string{
		"--plugin-load-add=group_replication.so", "--report-host=127.0.0.1",
		"--group-replication-group-name=6d696466-6c69-6768-7400-000000000001",
		"--group-replication-start-on-boot=OFF",
		"--group-replication-local-address=" + seeds[n],
		"--group-replication-group-seeds=" + strings.Join(seeds, ","),
		"--group-replication-single-primary-mode=" + single,
		"--group-replication-enforce-update-everywhere-checks=" + checks,
		"--group-replication-recovery-get-public-key=ON",
		"--group-replication-member-expel-timeout=60", // a busy machine may let one hear nothing for long
	}
}

// JoinGroup has a server that was started as a member join the group, or found it.
func (s *Server) JoinGroup(ctx context.Context, found bool) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	db, err := sql.Open("mysql", s.RootDSN(""))
	if err != nil {
		return fmt.Errorf("open %s: %w", s.Addr, err)
	}
	defer db.Close()
	bootstrap := "OFF"
	if found {
		bootstrap = "ON"
	}
	for _, q := range []string{
		"SET GLOBAL group_replication_bootstrap_group = " + bootstrap,
		"START GROUP_REPLICATION USER = 'root'",
		"SET GLOBAL group_replication_bootstrap_group = OFF",
	} {
		if _, err := db.ExecContext(ctx, q); err != nil {
			return fmt.Errorf("execute %q: %w", q, err)
		}
	}
	return s.awaitMember(ctx, "SELECT member_state FROM performance_schema.replication_group_members WHERE member_id = @@GLOBAL.server_uuid", "ONLINE")
}
