package ghost

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"midflight/ghost/plan"
	"midflight/mysqld"
	"midflight/schema"
)

// verdict turns an error of our INSERT … SELECT on some rows into what the
// server says of the user's statement on just those rows: it is run natively on
// a table of the same name and definition that holds nothing else. (INSERT and
// ALTER differ in numbers and texts: 1048 and 1138, 1406 and 1265.)
func (s *syncer) verdict(ctx context.Context, ours error, rows string) error {
	var d *duplicate
	if errors.As(ours, &d) {
		return d.error
	}
	if mysqld.IsFull(ours) { // there is no room to try them in either
		return ours
	}
	_, native, err := s.native(ctx, rows)
	if err != nil {
		return errors.Join(ours, err)
	}
	if native != nil {
		s.logOffender(ctx, rows, native)
		return native
	}
	// The server would have taken these rows as they are now. Either somebody
	// mended them meanwhile, or our statement is stricter than the ALTER.
	return &plan.Refusal{
		Reason: fmt.Sprintf("a row can't be carried over: %v", ours),
		Hint:   askAgain,
	}
}

const askAgain = "Send the statement again, or let the server run it and block the table meanwhile: SET @midflight_strategy = 'direct'"

// native runs the user's statement on a copy of some rows, and returns the
// server's warnings or its verdict.
func (s *syncer) native(ctx context.Context, rows string) (warned serverWarnings, verdict, err error) {
	s.trying.Lock()
	defer s.trying.Unlock()
	sc := rowsScratch(s.status.ID, s.original.Name)
	defer s.dropScratches(context.WithoutCancel(ctx), s.status.ID, sc)
	plain := s.worker(
		"SET /* midflight */ SESSION sql_mode = 'NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES', foreign_key_checks = 0",
		// Else INSERT … SELECT locks the original's rows, and writers get 1213.
		"SET /* midflight */ SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
	)
	defer plain.close()
	copied := func(conn *sql.Conn) error {
		if err := sc.create(ctx, conn); err != nil {
			return err
		}
		twin := s.plainWorker()
		defer twin.close()
		if err := s.makeTwin(ctx, twin, sc.table); err != nil {
			return err
		}
		var names []string
		for _, c := range s.original.Columns {
			if !c.Generated {
				names = append(names, c.Name)
			}
		}
		columns := mysqld.QuoteNames(names)
		_, err := conn.ExecContext(ctx, fmt.Sprintf("INSERT /* midflight m%d explain */ INTO %s (%s)\nSELECT %s FROM %s%s",
			s.status.ID, sc.table.Quoted(), columns, columns, s.original.Name.Quoted()+mysqld.TableOnly, where(rows)))
		return wrap(err, "copy the rows in question")
	}
	if err = retry(ctx, patience, func() error { return plain.use(ctx, copied) }); err != nil {
		return warned, nil, err
	}
	ddl := s.worker(scratchSession(s.request.Settings)...)
	defer ddl.close()
	err = ddl.use(ctx, func(conn *sql.Conn) error {
		_, err := conn.ExecContext(ctx, text(s.request.Statement, schema.Name{Schema: sc.schema, Table: sc.table.Table}, "", ""))
		if err != nil {
			return err
		}
		if warned.count, err = countWarnings(ctx, conn); err != nil {
			return err
		}
		warned.texts, err = showWarnings(ctx, conn)
		return err
	})
	for i := range warned.texts {
		warned.texts[i].Message = sc.asOriginal(warned.texts[i].Message, s.original.Name)
	}
	if mysqld.IsServerError(err) {
		return warned, sc.errAsOriginal(err, s.original.Name), nil
	}
	return warned, nil, err
}

func where(condition string) string {
	if condition == "" {
		return ""
	}
	return "\nWHERE " + condition
}
