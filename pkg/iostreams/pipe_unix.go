//go:build unix

package iostreams

import (
	"errors"
	"os"
	"os/signal"
	"syscall"
)

// utf8WithoutLocale: without a locale a Unix program is in the C locale.
const utf8WithoutLocale = false

// catchBrokenPipe makes a write to a closed pipe an error instead of a signal
// that kills the process. Notify rather than Ignore: an ignored signal would be
// inherited by the programs that we start.
func catchBrokenPipe() {
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
}

func isBrokenPipe(err error) bool { return errors.Is(err, syscall.EPIPE) }
