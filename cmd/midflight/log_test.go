package main

import (
	"errors"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"midflight/ghost"
)

// TestChoresDontFloodTheLog: they are tried again each second while the server is away.
func TestChoresDontFloodTheLog(t *testing.T) {
	core, lines := observer.New(zapcore.DebugLevel)
	l := loggerOn(zap.New(core))
	away, full := ghost.ChoresFailed{Err: errors.New("connection refused")}, ghost.ChoresFailed{Err: errors.New("disk full")}
	for range 100 {
		l.migration(away)
	}
	l.migration(full)
	if got := lines.All(); len(got) != 2 || got[0].Message != away.String() || got[1].Message != full.String() || got[0].Level != zapcore.WarnLevel {
		t.Errorf("%d lines: %+v", len(got), got)
	}
}
