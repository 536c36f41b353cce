//go:build !unix

package server

import (
	"context"
	"os"

	"github.com/prism-data-layer/prism/pkg/prism"
)

// lockDir makes the data folder. There is no lock on this system: the embedded
// stores refuse a second process by their own.
func (s *Server) lockDir(context.Context) error {
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return prism.New(prism.ReasonFailedPrecond, "cannot make the data folder").WithCause(err)
	}
	return nil
}

// usage is not known on this system.
func usage() (rss int64, cpu float64) { return 0, 0 }
