//go:build !unix

package server

import "context"

// reloadOnSignal does nothing here: there is no SIGHUP. The file is watched.
func (s *Server) reloadOnSignal(context.Context) {}
