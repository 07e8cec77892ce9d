package signals

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"midflight/throttle"
)

const querySource = "query"

// watchQuery samples the operator's query. Nothing else waits for it: one that hangs would
// look as if the server did.
func (s *Sampler) watchQuery(ctx context.Context) {
	if s.Query == "" {
		return
	}
	s.repeat(ctx, sampleEvery, func(ctx context.Context, _ bool) {
		bound, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		if r := s.reading(throttle.Query, bound, s.ownQuery); ctx.Err() == nil {
			s.publish(querySource, r)
		}
	})
}

// ownQuery is the operator's. One that takes too long is ended by the server: who only
// stops waiting for it leaves it there, and the next second another comes to it.
func (s *Sampler) ownQuery(ctx context.Context) (float64, error) {
	conn, err := s.DB.Conn(ctx)
	if err != nil {
		return 0, fmt.Errorf("connect: %w", err)
	}
	defer conn.Close()
	fail := func(err error) (float64, error) {
		conn.Raw(func(any) error { return driver.ErrBadConn }) // not back to the pool, with its bound
		return 0, fmt.Errorf("the query of --throttle-query: %w", err)
	}
	bound := fmt.Sprintf("SET /* midflight */ SESSION max_execution_time = %d", patience.Milliseconds())
	unbound := "SET /* midflight */ SESSION max_execution_time = DEFAULT"
	if s.Flavor.MariaDB {
		bound = fmt.Sprintf("SET /* midflight */ SESSION max_statement_time = %g", patience.Seconds())
		unbound = "SET /* midflight */ SESSION max_statement_time = DEFAULT"
	}
	if _, err := conn.ExecContext(ctx, bound); err != nil {
		return fail(err)
	}
	var v sql.NullString
	if err := conn.QueryRowContext(ctx, s.Query).Scan(&v); errors.Is(err, sql.ErrNoRows) {
		return fail(errors.New("it returns no row: want a number"))
	} else if err != nil {
		return fail(err)
	}
	if _, err := conn.ExecContext(ctx, unbound); err != nil {
		return fail(err)
	}
	if !v.Valid {
		return 0, errors.New("the query of --throttle-query returns NULL: want a number")
	}
	n, err := strconv.ParseFloat(strings.TrimSpace(v.String), 64)
	if err != nil || math.IsNaN(n) {
		return 0, fmt.Errorf("the query of --throttle-query returns %.40q: want a number", v.String)
	}
	return n, nil
}
