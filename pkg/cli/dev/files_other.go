//go:build !unix

package dev

import "errors"

// openFiles is not known on this system.
func openFiles() (uint64, error) { return 0, errors.ErrUnsupported }
