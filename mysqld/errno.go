package mysqld

import (
	"context"
	"database/sql/driver"
	"errors"
	"io"
	"net"

	"github.com/go-sql-driver/mysql"
)

// The server's error numbers that somebody here branches on.
const (
	ErrDupKey             = 1022
	ErrTooManyConnections = 1040
	ErrAccessDenied       = 1045
	ErrNoDatabase         = 1046
	ErrTableExists        = 1050
	ErrUnknownTable       = 1051
	ErrBadField           = 1054
	ErrDupColumn          = 1060
	ErrDupEntry           = 1062
	ErrCantDropKey        = 1091
	ErrParse              = 1064
	ErrNoSuchThread       = 1094
	ErrTableNotLocked     = 1100
	ErrNoSuchTable        = 1146
	ErrTableAccessDenied  = 1142
	ErrLockWaitTimeout    = 1205
	ErrServerShutdown     = 1053
	ErrDeadlock           = 1213
	ErrProcedureExists    = 1304
	ErrNoSuchProcedure    = 1305
	ErrQueryInterrupted   = 1317
	ErrUnknownVariable    = 1193
	ErrTableDefChanged    = 1412
	ErrTriggerExists      = 1359
	ErrNoSuchTrigger      = 1360
	ErrMaxPreparedStmts   = 1461
	ErrCorruptTriggers    = 1602
	ErrSignaled           = 1644 // SIGNAL SQLSTATE '45000': our procedures' refusals
	ErrDupEntryWithKey    = 1586
	ErrConnectionKilled   = 1927 // MariaDB
	ErrStatementTimeout   = 1969 // MariaDB
	ErrAlterNotSupported  = 1845 // ALGORITHM=… is not supported. Try …
	ErrAlterNotSupported2 = 1846 // … Reason: … Try …
	ErrForeignDupKey      = 1761
	ErrDupCheckName       = 3822
	ErrIdleTooLong        = 4031 // MySQL's goodbye after wait_timeout, read as the next statement's answer
	ErrMaxRowVersions     = 4092
)

// Number is the MySQL error number in err's chain, 0 if there is none.
func Number(err error) uint16 {
	var e *mysql.MySQLError
	if errors.As(err, &e) {
		return e.Number
	}
	return 0
}

// Answered is an error of another library, which has a server's answer in it, such that
// Number finds that.
func Answered(err error, number uint16, message string) error {
	return &answered{err, &mysql.MySQLError{Number: number, Message: message}}
}

type answered struct {
	error
	as *mysql.MySQLError
}

func (a *answered) Unwrap() []error { return []error{a.error, a.as} }

// IsFileError: the server could not open, read or stat a file of its own (mysys/errmsg.h).
func IsFileError(err error) bool {
	n := Number(err)
	return n > 0 && n < 100
}

// IsDuplicateKey: a unique key would have had two equal entries.
func IsDuplicateKey(err error) bool {
	n := Number(err)
	return n == ErrDupEntry || n == ErrDupEntryWithKey || n == ErrDupKey
}

// IsLockConflict: another session held a lock for too long; the statement (on
// 1213 the transaction) was rolled back and may be run again.
func IsLockConflict(err error) bool {
	n := Number(err)
	return n == ErrLockWaitTimeout || n == ErrDeadlock
}

// IsKilled: KILL QUERY ended the statement.
func IsKilled(err error) bool { return Number(err) == ErrQueryInterrupted }

// IsAlgorithmRefused: the server can't run this ALTER with the ALGORITHM or
// LOCK that was asked for.
func IsAlgorithmRefused(err error) bool {
	n := Number(err)
	return n == ErrAlterNotSupported || n == ErrAlterNotSupported2 || n == ErrMaxRowVersions
}

// IsConnectionLost: whether the statement was executed is not known.
func IsConnectionLost(err error) bool {
	var op *net.OpError
	return errors.Is(err, driver.ErrBadConn) || errors.Is(err, mysql.ErrInvalidConn) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.As(err, &op) || goodbye(err)
}

// goodbye: the server's last word on a connection that it closes.
func goodbye(err error) bool {
	switch Number(err) {
	case ErrServerShutdown, ErrConnectionKilled, ErrIdleTooLong:
		return true
	}
	return false
}

// IsFull: the server has no room for more, on disk or in a tablespace.
func IsFull(err error) bool {
	switch Number(err) {
	case 1021, 1114: // ER_DISK_FULL, ER_RECORD_FILE_FULL
		return true
	}
	return false
}

// IsTooManyConnections: the server has no connection left now.
func IsTooManyConnections(err error) bool {
	switch Number(err) {
	case ErrTooManyConnections, 1203, 1226: // in all, of the user, of the account's resources
		return true
	}
	return false
}

// IsServerError: the server itself answered with an error, the connection is
// well.
func IsServerError(err error) bool { return Number(err) != 0 && !goodbye(err) }

// IsCanceled: our own context ended.
func IsCanceled(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}
