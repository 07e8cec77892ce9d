package intercept

import (
	"context"

	"midflight/ghost"
	"midflight/ghost/plan"
	"midflight/mysqld"
	"midflight/parser"
	"midflight/proxy"
)

// invisible is the statement as @midflight_new_columns wants it, whoever runs it
// then, and the columns that it adds INVISIBLE for that reason. The error is for the
// client.
func (i *Interceptor) invisible(ctx context.Context, c *proxy.Conn, s parser.Statement, q facts) (as parser.Statement, columns []string, err error) {
	wanted, err := ghost.ParseNewColumns(q.columns)
	if err != nil {
		return s, nil, wrongValue(err)
	}
	columns = s.Hideable()
	if !wanted || len(columns) == 0 {
		return s, nil, nil
	}
	if !hasInvisible(i.Flavor) {
		return s, nil, &plan.Refusal{
			Reason: "@midflight_new_columns = 'invisible', and " + i.Flavor.String() + " has no INVISIBLE columns",
			Hint:   "MySQL has them from 8.0.23 on, MariaDB from 10.3. To add visible ones: SET @midflight_new_columns = 'visible'",
		}
	}
	text := s.Rewrite(parser.Edit{Invisible: true})
	as, err = parser.Parse(text, q.mode)
	understood := err == nil && len(as.Hideable()) == 0 && len(as.Actions) == len(s.Actions)
	if understood {
		err := c.Prepare(ctx, text)
		if err != nil && asServer(err) == nil {
			return s, nil, err
		}
		understood = err == nil || asServer(err).Number != errSyntax
	}
	if !understood {
		return s, nil, &plan.Refusal{
			Reason: "Midflight can't write INVISIBLE into this statement",
			Hint:   "Write it yourself, or: SET @midflight_new_columns = 'visible'",
		}
	}
	return as, columns, nil
}

func hasInvisible(f mysqld.Flavor) bool {
	if f.MariaDB {
		return f.Version >= 100300
	}
	return f.Version >= 80023
}
