package sqlitefile

import (
	"errors"
	"fmt"

	"modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"

	"github.com/prism-data-layer/prism/pkg/prism"
)

// Fault classifies an error of SQLite, once for all who use a file. what is
// the thing that was being done: "read the namespaces". The text that travels
// holds neither SQL nor paths; the cause, which stays here, does.
func (k *Kind) Fault(what string, err error) error {
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
		return k.DataLoss(what, err)
	case lib.SQLITE_FULL:
		return prism.New(prism.ReasonDiskFull, "%s: the disk of the %s is full", what, k.Name).WithCause(err)
	case lib.SQLITE_BUSY, lib.SQLITE_LOCKED:
		return prism.New(prism.ReasonUnavailable, "%s: another process holds the %s", what, k.Name).WithCause(err)
	case lib.SQLITE_IOERR, lib.SQLITE_CANTOPEN, lib.SQLITE_READONLY, lib.SQLITE_PERM:
		return prism.New(prism.ReasonUnavailable, "%s: the %s cannot be read or written", what, k.Name).WithCause(err)
	case lib.SQLITE_INTERRUPT:
		return prism.New(prism.ReasonCancelled, "%s: given up", what).WithCause(err)
	}
	return prism.Internal(fmt.Errorf("%s: %w", what, err))
}

// DataLoss says that what was read cannot be what was written.
func (k *Kind) DataLoss(what string, err error) error {
	return prism.New(prism.ReasonDataLoss, "%s: the %s is damaged; restore it from a copy", what, k.Name).WithCause(err)
}
