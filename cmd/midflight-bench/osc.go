package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"

	"midflight/internal/localserver"
)

// osc is the load program of the project's other benchmarks, whose text is not
// ours: it is run, and its one line of JSON is read.
type osc struct {
	program string
	options gapOptions
}

// An oscResult is that line.
type oscResult struct {
	Migration      float64        `json:"migration_s"`
	MigrationError string         `json:"migration_error,omitempty"`
	Before         felt           `json:"before"`
	During         felt           `json:"during"`
	After          felt           `json:"after"`
	AppErrors      map[string]int `json:"app_errors"`
	Lost           int            `json:"lost"`
	Wrong          int            `json:"wrong"`
	Extra          int            `json:"extra"`
	Altered        bool           `json:"altered"`
}

// felt is what the load felt in a part of the run: writers' transactions and
// readers' statements.
type felt struct {
	Trx   float64 `json:"trx_s"`
	Reads float64 `json:"read_s"`
	W99   float64 `json:"w_p99_ms"`
	WMax  float64 `json:"w_max_ms"`
	R99   float64 `json:"r_p99_ms"`
	RMax  float64 `json:"r_max_ms"`
}

// run loads the table through addr and looks at it around Midflight, at server.
func (o osc) run(ctx context.Context, c cell, addr, server string) (r oscResult, err error) {
	args := []string{
		"-dsn", dsn(addr), "-admin", dsn(server), "-rows", fmt.Sprint(o.options.rows),
		"-writers", fmt.Sprint(c.load.writers), "-readers", fmt.Sprint(c.load.readers),
		"-warm", o.options.warm.String(), "-max", o.options.most.String(), "-longtrx", c.longTrx.String(), "-think", o.options.think.String(),
	}
	if c.variant.alter != "" {
		args = append(args, "-alter", c.variant.alter, "-expect", "note2")
	}
	cmd := exec.CommandContext(ctx, o.program, args...)
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := localserver.Spawn(cmd); err != nil {
		return r, fmt.Errorf("start osc: %w", err)
	}
	ended := cmd.Wait()
	// It also fails where rows are lost, or the column is not there: that is a result.
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		return r, fmt.Errorf("osc has no result (%v): %w\n%s%s", ended, err, out.Bytes(), said.Bytes())
	}
	return r, nil
}

func dsn(addr string) string { return "root@tcp(" + addr + ")/" }
