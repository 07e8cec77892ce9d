package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"midflight/internal/localserver"
)

// osc is the load program of the project's other benchmarks, whose text is not
// ours: it is run, and its one line of JSON is read.
type osc struct{ program string }

// buildOSC builds the program of the module into dir.
func buildOSC(ctx context.Context, module, dir string) (osc, error) {
	o := osc{filepath.Join(dir, "osc")}
	build := exec.CommandContext(ctx, "go", "build", "-o", o.program, "./osc")
	build.Dir = module
	if out, err := build.CombinedOutput(); err != nil {
		return o, fmt.Errorf("build the load program (-osc names its module's folder): %w\n%s", err, out)
	}
	return o, nil
}

// An oscRun is what osc is asked to do.
type oscRun struct {
	rows                       int
	load                       load
	warm, most, longTrx, think time.Duration
	alter                      string // osc puts the table in for %t; "": nothing is changed
	expect                     string // the column that there must be then; "": any will do
}

// An oscResult is the line of JSON.
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
func (o osc) run(ctx context.Context, ask oscRun, addr, server string) (r oscResult, err error) {
	args := []string{
		"-dsn", dsn(addr), "-admin", dsn(server), "-rows", fmt.Sprint(ask.rows),
		"-writers", fmt.Sprint(ask.load.writers), "-readers", fmt.Sprint(ask.load.readers),
		"-warm", ask.warm.String(), "-max", ask.most.String(), "-longtrx", ask.longTrx.String(), "-think", ask.think.String(),
		"-alter", ask.alter, "-expect", ask.expect,
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

// errors is how many the application got.
func (r oscResult) errors() (n int) {
	for _, of := range r.AppErrors {
		n += of
	}
	return n
}

// astray is how many rows are not what was acknowledged.
func (r oscResult) astray() int { return r.Lost + r.Wrong + r.Extra }

// failures tells the error of the migration, and those that the application got.
func (r oscResult) failures() (all []string) {
	if r.MigrationError != "" {
		all = append(all, r.MigrationError)
	}
	for _, text := range slices.Sorted(maps.Keys(r.AppErrors)) {
		all = append(all, fmt.Sprintf("%d × %s", r.AppErrors[text], text))
	}
	return all
}

// complaints are the end of a line of progress.
func (r oscResult) complaints() (text string) {
	if n := r.errors(); n > 0 {
		text += fmt.Sprintf(", %d ERRORS", n)
	}
	if r.astray() > 0 {
		text += fmt.Sprintf(", %d LOST, %d WRONG, %d EXTRA", r.Lost, r.Wrong, r.Extra)
	}
	if r.MigrationError != "" {
		text += ", FAILED: " + r.MigrationError
	}
	return text
}
