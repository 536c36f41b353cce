package control

import (
	"errors"
	"fmt"

	"modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"

	"github.com/prism-data-layer/prism/pkg/prism"
)

// fault classifies an error of SQLite, once, for all of the package. what is
// the thing that was being done: "read the namespaces". The text that travels
// holds neither SQL nor paths; the cause, which stays here, does.
func fault(what string, err error) error {
	if err == nil {
		return nil
	}
	var known *prism.Error
	if errors.As(err, &known) {
		return err
	}
	var e *sqlite.Error
	if !errors.As(err, &e) {
		if from := prism.From(err); from.Reason != prism.ReasonInternal {
			return from
		}
		return prism.Internal(fmt.Errorf("%s: %w", what, err))
	}
	switch e.Code() & 0xff {
	case lib.SQLITE_CORRUPT, lib.SQLITE_NOTADB:
		return dataLoss(what, err)
	case lib.SQLITE_FULL:
		return prism.New(prism.ReasonDiskFull, "%s: the disk of the control store is full", what).WithCause(err)
	case lib.SQLITE_BUSY, lib.SQLITE_LOCKED:
		return prism.New(prism.ReasonUnavailable, "%s: another process holds the control store", what).WithCause(err)
	case lib.SQLITE_IOERR, lib.SQLITE_CANTOPEN, lib.SQLITE_READONLY, lib.SQLITE_PERM:
		return prism.New(prism.ReasonUnavailable, "%s: the control store cannot be read or written", what).WithCause(err)
	case lib.SQLITE_INTERRUPT:
		return prism.New(prism.ReasonCancelled, "%s: given up", what).WithCause(err)
	}
	return prism.Internal(fmt.Errorf("%s: %w", what, err))
}

func dataLoss(what string, err error) error {
	return prism.New(prism.ReasonDataLoss, "%s: the control store is damaged; restore it from a copy", what).WithCause(err)
}
