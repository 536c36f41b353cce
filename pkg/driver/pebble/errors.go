package pebble

import (
	"context"
	"errors"
	"os"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/prism-data-layer/prism/pkg/prism"
)

// classify turns what pebble, the file system and our own codecs say into a
// prism error. It is the only place that does.
func classify(backend string, err error) error {
	var e *prism.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &e):
		return e
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return prism.From(err)
	case errors.Is(err, pebble.ErrClosed):
		return closedError(backend)
	case vfs.IsNoSpaceError(err):
		return diskFull(backend).WithCause(err)
	case pebble.IsCorruptionError(err), errors.Is(err, errChecksum), errors.Is(err, errRecord), errors.Is(err, errKey):
		return prism.New(prism.ReasonDataLoss, "backend %q: stored data is damaged", backend).WithBackend(backend).WithCause(err)
	}
	return prism.New(prism.ReasonBackendUnavailable, "backend %q: the store failed", backend).WithBackend(backend).WithCause(err)
}

// classifyOpen says what an operator can act on when the store does not open.
func classifyOpen(backend, dir string, err error) error {
	text := err.Error()
	switch {
	case strings.Contains(text, "unknown format major version"):
		found := text[strings.LastIndexByte(text, ' ')+1:]
		return newerFormat(backend, dir, "store "+found)
	case isLocked(err):
		return prism.New(prism.ReasonFailedPrecond, "backend %q: folder %s is in use by another process or backend", backend, dir).WithBackend(backend).WithCause(err)
	case errors.Is(err, os.ErrPermission):
		return prism.New(prism.ReasonFailedPrecond, "backend %q: folder %s may not be used by this user", backend, dir).WithBackend(backend).WithCause(err)
	}
	return classify(backend, err)
}

// isLocked knows what vfs.FS.Lock says on each system.
func isLocked(err error) bool {
	for _, s := range [...]string{"lock held by current process", "resource temporarily unavailable", "used by another process"} {
		if strings.Contains(err.Error(), s) {
			return true
		}
	}
	return false
}

func closedError(backend string) *prism.Error {
	return prism.New(prism.ReasonBackendUnavailable, "backend %q is closed", backend).WithBackend(backend)
}

func diskFull(backend string) *prism.Error {
	return prism.New(prism.ReasonDiskFull, "backend %q: the disk is full; reads go on", backend).WithBackend(backend)
}

// refuseFull is diskFull, noted for Health and, now and then, in the log.
func (s *store) refuseFull() error {
	now := s.clock.Now().UnixMilli()
	if now-s.refused.Swap(now) > 10_000 {
		s.log.Warn("the disk is full; writes are refused until there is space", "folder", s.dir)
	}
	return diskFull(s.name)
}

func (s *store) damaged(key prism.Key, err error) error {
	return prism.New(prism.ReasonDataLoss, "backend %q: the entry under this key is damaged and is not served", s.name).
		WithBackend(s.name).WithNamespace(key.Namespace).WithCause(err)
}
