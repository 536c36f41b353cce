//go:build windows

package iostreams

import (
	"errors"
	"syscall"
)

// utf8WithoutLocale: Windows has no locale variables, and its terminals of
// this decade speak UTF-8.
const utf8WithoutLocale = true

func catchBrokenPipe() {}

// The two ways in which Windows says that the reader has gone.
const (
	errorBrokenPipe = syscall.Errno(109)
	errorNoData     = syscall.Errno(232)
)

func isBrokenPipe(err error) bool {
	return errors.Is(err, errorBrokenPipe) || errors.Is(err, errorNoData)
}
