package intercept

import (
	"context"
	"fmt"
	"strings"

	"midflight/proxy"
)

// maxFound is how many FOUND_ROWS() can be made to tell of: the rows are sent.
const maxFound = 1000

var manyRows = func() string {
	ten := "(SELECT 1" + strings.Repeat(" UNION ALL SELECT 1", 9) + ")"
	return "SELECT /* midflight */ 1 FROM " + ten + " AS a JOIN " + ten + " AS b JOIN " + ten + " AS c"
}()

// foundAsBefore makes FOUND_ROWS() what it was before the session was asked for
// its settings: no ALTER changes it. Our own questions leave a 1.
func foundAsBefore(ctx context.Context, c *proxy.Conn, found int) error {
	query := manyRows + fmt.Sprintf(" LIMIT %d", min(found, maxFound))
	switch found {
	case 1:
		return nil
	case 0:
		query = "SELECT /* midflight */ 1 FROM DUAL WHERE FALSE"
	}
	_, err := c.Query(ctx, query)
	if asServer(err) != nil {
		return nil
	}
	return err
}

// changedNothing makes ROW_COUNT() 0 and SHOW WARNINGS empty, as after an ALTER
// that copies no rows. Nothing else in the session changes, FOUND_ROWS()
// neither, which after DO would be 1 on MySQL.
func changedNothing(ctx context.Context, c *proxy.Conn) error {
	_, err := c.Query(ctx, "SET /* midflight */ @midflight_strategy = @midflight_strategy")
	if asServer(err) != nil {
		return nil
	}
	return err
}

// quiet is how an ALTER without warnings leaves its session.
func quiet(ctx context.Context, c *proxy.Conn, q facts) error {
	if err := foundAsBefore(ctx, c, q.found); err != nil {
		return err
	}
	return changedNothing(ctx, c)
}
