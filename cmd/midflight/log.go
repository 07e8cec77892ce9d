package main

import (
	"fmt"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"midflight/ghost"
	"midflight/intercept"
	"midflight/proxy"
)

// logger writes events as log lines. A line never has a statement's text, since
// values may be in it.
type logger struct {
	*zap.Logger
	repeated *zap.Logger // has an equal line once a minute: what is tried again each second
}

func loggerOn(z *zap.Logger) logger {
	return logger{z, z.WithOptions(zap.WrapCore(func(c zapcore.Core) zapcore.Core {
		return zapcore.NewSamplerWithOptions(c, time.Minute, 1, 0)
	}))}
}

func newLogger(level string) (logger, error) {
	l, err := zap.ParseAtomicLevel(level)
	if err != nil {
		return logger{}, usageError{fmt.Errorf("--log-level: %w", err)}
	}
	c := zap.NewProductionConfig()
	c.Level, c.DisableCaller, c.DisableStacktrace = l, true, true
	c.EncoderConfig.EncodeTime = zapcore.ISO8601TimeEncoder
	c.Sampling = nil
	z, err := c.Build()
	if err != nil {
		return logger{}, fmt.Errorf("open the log: %w", err)
	}
	return loggerOn(z), nil
}

func (l logger) migration(e ghost.Event) {
	switch e := e.(type) {
	case ghost.ChunkCopied, ghost.KeysApplied, ghost.RowsCompared, ghost.Throttled: // up to several a second, each
		l.Debug(e.String())
	case ghost.Diverged:
		l.Error(e.String())
	case ghost.ChoresFailed:
		l.repeated.Warn(e.String())
	case ghost.Interrupted, ghost.Broken:
		l.Warn(e.String())
	default:
		l.Info(e.String())
	}
}

func (l logger) interception(e intercept.Event) {
	switch e := e.(type) {
	case intercept.Intercepted:
		l.Info("schema change intercepted", zap.Uint32("connection", e.Connection), zap.Int64("migration", e.Migration), zap.String("table", e.Table.String()))
	case intercept.NotRecorded:
		l.Warn("a schema change is missing from midflight.statements", zap.Uint32("connection", e.Connection), zap.Error(e.Err))
	case intercept.Forwarded:
		l.Info("schema change forwarded", zap.Uint32("connection", e.Connection), zap.String("reason", e.Reason),
			zap.Int("attempts", e.Attempts), zap.Duration("waited", e.Waited), zap.String("waited_for", e.For))
	}
}

func (l logger) session(e proxy.Event) {
	switch e := e.(type) {
	case proxy.SessionOpened:
		l.Debug("session opened", zap.Uint32("connection", e.ID), zap.String("user", e.User), zap.String("client", e.Client), zap.Bool("tls", e.TLS))
	case proxy.SessionClosed:
		l.Debug("session closed", zap.Uint32("connection", e.ID), zap.String("user", e.User), zap.String("client", e.Client),
			zap.String("by", string(e.Blame)), zap.String("reason", string(e.Reason)), zap.Error(e.Err), zap.Duration("lasted", e.Duration))
	case proxy.HandshakeFailed:
		l.Info("handshake failed", zap.String("client", e.Client), zap.String("blame", string(e.Blame)), zap.String("reason", string(e.Reason)), zap.Error(e.Err))
	}
}
