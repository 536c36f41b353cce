//go:build unix

package supervise

import (
	"os"
	"syscall"
)

func terminateProcess(p *os.Process) error { return p.Signal(syscall.SIGTERM) }
