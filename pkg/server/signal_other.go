//go:build !unix

package server

import (
	"context"
	"os"
)

func hangups() <-chan os.Signal { return nil }

// reloadOn does nothing here: there is no SIGHUP. The file is watched.
func (s *Server) reloadOn(context.Context, <-chan os.Signal) {}
