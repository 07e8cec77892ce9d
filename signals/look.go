package signals

import (
	"context"
	"time"

	"midflight/mysqld"
	"midflight/throttle"
)

// Look finds the replicas and asks each once how far behind it is, by its own account: in
// whole seconds. Config's Server, Flavor, DB and Replicas are needed.
func Look(ctx context.Context, c Config) ([]throttle.Reading, error) {
	replicas, err := New(c).listReplicas(ctx, addresses{})
	if err != nil {
		return nil, err
	}
	var list []throttle.Reading
	for _, r := range replicas {
		list = append(list, c.lookAt(ctx, r))
	}
	return list, nil
}

func (c Config) lookAt(ctx context.Context, r replica) throttle.Reading {
	reading := throttle.Reading{Signal: throttle.ReplicaLag, Of: r.addr, At: time.Now()}
	db, err := mysqld.Open(mysqld.Config{Addr: r.addr, User: c.Server.User, Password: c.Server.Password})
	if err == nil {
		defer db.Close()
		var s status
		bound, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		if s, err = r.status(bound, db); err == nil {
			reading.Value, reading.Problem = s.beyondDelay(s.behind).Seconds(), s.stopped
		}
	}
	if err != nil {
		reading.Problem = "it can't be asked: " + inWords(err).Error()
	}
	return reading
}
