package localserver

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// StartCluster starts so many MariaDB servers that are one Galera cluster, and returns when
// each has joined it. The first one can't be started again: it would found another cluster.
func StartCluster(ctx context.Context, nodes int, args ...string) (servers []*Server, err error) {
	library, err := FindGalera()
	if err != nil {
		return nil, err
	}
	program, err := Find(MariaDB)
	if err != nil {
		return nil, err
	}
	from, err := clusterTemplate(ctx, program, library)
	if err != nil {
		return nil, err
	}
	defer func() { servers, err = orNone(servers, err) }()
	first := ""
	for n := range nodes {
		s, group, err := startNode(ctx, program, library, from, first, args...)
		if err != nil {
			return servers, fmt.Errorf("start node %d: %w", n+1, err)
		}
		servers = append(servers, s)
		if n == 0 {
			first = group
		}
	}
	return servers, nil
}

// orNone removes servers of which not all are there.
func orNone(servers []*Server, err error) ([]*Server, error) {
	if err == nil {
		return servers, nil
	}
	for _, s := range servers {
		err = errors.Join(err, s.Remove())
	}
	return nil, err
}

// clusterTemplate returns the data folder of a node that has ended in order. Nodes that
// begin with the same rows, and know at which number of the cluster's those were, need no
// rows from each other.
func clusterTemplate(ctx context.Context, program, library string) (string, error) {
	from, err := template(ctx, MariaDB, program)
	if err != nil {
		return "", err
	}
	return kept(filepath.Base(from)+"-galera", func(data string) (err error) {
		s, _, err := startNode(ctx, program, library, from, "")
		if err != nil {
			return fmt.Errorf("found a cluster: %w", err)
		}
		defer func() { err = errors.Join(err, s.Remove()) }()
		if err := s.Stop(ctx); err != nil {
			return err
		}
		// The node's own: what it has sent, and with whom.
		for _, name := range []string{"galera.cache", "gvwstate.dat"} {
			if err := os.Remove(filepath.Join(s.Datadir, name)); err != nil && !errors.Is(err, os.ErrNotExist) {
				return err
			}
		}
		if err := copyDir(s.Datadir, data); err != nil {
			return fmt.Errorf("copy the template: %w", err)
		}
		return nil
	})
}

// startNode starts one that joins the cluster of the node at first, or founds one if that
// is "". Others meet it at group.
func startNode(ctx context.Context, program, library, from, first string, args ...string) (s *Server, group string, err error) {
	s, err = start(ctx, MariaDB, program, from, func(s *Server) (own []string, err error) {
		own, group, err = s.asNode(library, first)
		return append(own, args...), err
	})
	if err != nil {
		return nil, "", err
	}
	if err := s.awaitSynced(ctx); err != nil {
		return nil, "", errors.Join(fmt.Errorf("%w\n%s", err, tail(s.ErrorLog(), 30)), s.Remove())
	}
	return s, group, nil
}

// FoundCluster starts a server again, which has ended, as the first node of a cluster.
func (s *Server) FoundCluster(ctx context.Context) error {
	library, err := FindGalera()
	if err != nil {
		return err
	}
	more, _, err := s.asNode(library, "")
	if err != nil {
		return err
	}
	s.args = append(s.args, more...)
	if err := s.StartAgain(ctx); err != nil {
		return err
	}
	return s.awaitSynced(ctx)
}

// asNode are the arguments with which a server is a node.
func (s *Server) asNode(library, first string) (args []string, group string, err error) {
	meets, err := FreePort()
	if err != nil {
		return nil, "", err
	}
	hears, err := FreePort()
	if err != nil {
		return nil, "", err
	}
	if err := s.writeTransfer(); err != nil {
		return nil, "", fmt.Errorf("write the program of the state transfer: %w", err)
	}
	group = fmt.Sprintf("127.0.0.1:%d", meets)
	args = []string{
		"--wsrep-on=ON", "--wsrep-provider=" + library, "--wsrep-cluster-name=midflight", "--wsrep-cluster-address=gcomm://" + first,
		"--wsrep-node-address=127.0.0.1", "--wsrep-sst-method=" + transferMethod,
		fmt.Sprintf("--wsrep-provider-options=gmcast.listen_addr=tcp://%s; ist.recv_addr=127.0.0.1:%d; gcache.size=64M", group, hears),
		"--log-slave-updates", "--innodb-autoinc-lock-mode=2",
	}
	if first == "" {
		args = append(args, "--wsrep-new-cluster")
	}
	return args, group, nil
}

// The server wants a program for the transfer of all rows also where there is nothing to
// transfer but the number at which a node joins. The donor writes that into the file that
// the joiner names as its address.
const (
	transferMethod = "nothing"
	transfer       = `#!/bin/sh
while [ $# -gt 0 ]; do
	case $1 in
	--role) role=$2 ;;
	--gtid) gtid=$2 ;;
	--address) address=$2 ;;
	--datadir) datadir=$2 ;;
	esac
	shift
done
if [ "$role" = donor ]; then
	at=/${address#*/}
	echo "$gtid" >"$at.new" && mv "$at.new" "$at" && echo "done $gtid"
	exit
fi
at=${datadir%/}/joined-at
rm -f "$at"
echo "ready 127.0.0.1:1$at"
while [ ! -f "$at" ]; do sleep 0.02; done
cat "$at"
`
)

// writeTransfer puts it where the server looks for programs.
func (s *Server) writeTransfer() error {
	s.env = append(os.Environ(), "PATH="+s.folder.path+string(os.PathListSeparator)+os.Getenv("PATH"))
	return os.WriteFile(filepath.Join(s.folder.path, "wsrep_sst_"+transferMethod), []byte(transfer), 0o700)
}

// awaitSynced: before that it answers every statement with error 1047.
func (s *Server) awaitSynced(ctx context.Context) error {
	return s.awaitMember(ctx, "SELECT variable_value FROM information_schema.global_status WHERE variable_name = 'wsrep_local_state_comment'", "Synced")
}

// awaitMember polls until a server that joins others has the state in which it is one of them.
func (s *Server) awaitMember(ctx context.Context, query, want string) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	db, err := sql.Open("mysql", s.RootDSN(""))
	if err != nil {
		return fmt.Errorf("open %s: %w", s.Addr, err)
	}
	defer db.Close()
	for {
		var state string
		err := db.QueryRowContext(ctx, query).Scan(&state)
		if err == nil && state == want {
			return nil
		}
		select {
		case <-s.process.ended:
			return fmt.Errorf("the server ended: %v", s.process.err)
		case <-ctx.Done():
			return fmt.Errorf("wait until it has joined: %w (it is %q: %v)", ctx.Err(), state, err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}
