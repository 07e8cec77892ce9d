package main

import (
	"errors"

	"midflight/ghost"
	"midflight/store"
)

// The exit statuses are a contract; docs/operating.md and the usage list them.
const (
	exitFailed   = 1 // the command didn't work
	exitUsage    = 2
	exitEnded    = 3 // the migration failed
	exitCanceled = 4
	exitNo       = 5 // the command worked, and its answer is no
)

// usageError is an error in how the program was called.
type usageError struct{ error }

// answerNo is an answer and no failure: the server isn't ready, the change is refused.
type answerNo struct{ error }

// endedError is the bad end of the migration that was watched.
type endedError struct {
	phase   ghost.Phase
	failure string
}

func (e endedError) Error() string { return e.failure }

// howItEnded is nil for a migration that is completed.
func howItEnded(m store.Migration) error {
	if m.Phase == ghost.Completed {
		return nil
	}
	return endedError{m.Phase, m.Failure}
}

func exitStatus(err error) int {
	var ended endedError
	switch {
	case errors.As(err, new(usageError)):
		return exitUsage
	case errors.As(err, new(answerNo)):
		return exitNo
	case errors.As(err, &ended) && ended.phase == ghost.Canceled:
		return exitCanceled
	case errors.As(err, &ended):
		return exitEnded
	}
	return exitFailed
}
