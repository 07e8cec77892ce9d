package ghost

import (
	"database/sql/driver"
	"errors"
	"fmt"

	"github.com/go-sql-driver/mysql"

	"midflight/ghost/plan"
	"midflight/mysqld"
)

// ErrCanceled: somebody canceled the migration (KILL QUERY, CALL
// midflight.cancel).
var ErrCanceled = errors.New("the migration was canceled")

// ErrTakenOver: another Midflight runs the migration now. Nothing that belongs to it may
// be touched any more.
var ErrTakenOver = errors.New("another Midflight has taken the migration over; its result will be in midflight.migrations")

// ErrStopped: this Midflight is being stopped, and begins nothing any more.
var ErrStopped = errors.New("nothing was begun; connect again and send the statement again")

// A LeftError: this Midflight is being stopped, and leaves the migration to the next.
type LeftError struct{ ID int64 }

func (e *LeftError) Error() string {
	return fmt.Sprintf("Server shutdown in progress. Migration %d goes on when a Midflight runs again; midflight.migrations will have its result", e.ID)
}

// errDiscard makes database/sql close a connection for good; any other error
// would send it back to the pool, with its locks and settings.
var errDiscard = fmt.Errorf("discard this connection: %w", driver.ErrBadConn)

// An Obstacle is a definite reason why a migration can't go on.
type Obstacle struct{ Reason string }

func (o *Obstacle) Error() string { return o.Reason }

func obstacle(format string, args ...any) error {
	return &Obstacle{fmt.Sprintf(format, args...)}
}

// A BlockedError: others didn't let the change have its lock for as long as the
// operator allows.
type BlockedError struct{ Reason string }

func (e *BlockedError) Error() string {
	return "Lock wait timeout exceeded; try restarting transaction. " + e.Reason
}

// A ServerError is an error as MySQL clients know them.
type ServerError struct {
	Number  uint16
	State   string // SQLSTATE, five characters
	Message string
}

// ErrorFor is what a MySQL client is told: the server's own error where there
// is one, else the closest of its numbers.
func ErrorFor(err error) ServerError {
	var server *mysql.MySQLError
	var refusal *plan.Refusal
	var blocked *BlockedError
	var left *LeftError
	switch {
	case errors.As(err, &server):
		return ServerError{server.Number, string(server.SQLState[:]), server.Message}
	case errors.As(err, &refusal):
		return ServerError{mysqld.ErrAlterNotSupported2, "0A000", "Midflight can't run this online: " + refusal.Error()}
	case errors.As(err, &blocked):
		return ServerError{mysqld.ErrLockWaitTimeout, "HY000", blocked.Error()}
	case errors.As(err, &left):
		return ServerError{mysqld.ErrServerShutdown, "08S01", left.Error()}
	case errors.Is(err, ErrStopped):
		return ServerError{mysqld.ErrServerShutdown, "08S01", "Server shutdown in progress; " + ErrStopped.Error()}
	case errors.Is(err, ErrCanceled):
		return ServerError{mysqld.ErrQueryInterrupted, "70100", "Query execution was interrupted"}
	}
	return ServerError{1105, "HY000", "Midflight: " + err.Error()} // ER_UNKNOWN_ERROR
}
