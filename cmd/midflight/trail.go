package main

import (
	"context"

	"midflight/ghost"
	"midflight/intercept"
	"midflight/store"
)

// trail is the store as intercept wants it.
type trail struct{ *store.Store }

var _ intercept.Trail = trail{}

func (t trail) Came(ctx context.Context, s intercept.Came) (int64, error) {
	return t.Store.Came(ctx, statement(s, store.Forwarded))
}

func (t trail) Refused(ctx context.Context, s intercept.Came, answer ghost.ServerError) error {
	r := statement(s, store.Refused)
	r.Err = &answer
	_, err := t.Store.Came(ctx, r)
	return err
}

func statement(s intercept.Came, verdict string) store.Statement {
	return store.Statement{
		Table: s.Table, Text: s.Text, Charset: s.Charset, Verdict: verdict, Reason: s.Reason, Migration: s.Migration,
		User: s.User, Host: s.Host, Session: s.Session, Account: s.Account, Database: s.Database,
	}
}
