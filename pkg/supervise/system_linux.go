package supervise

import (
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	fallbackIsolation = "process group"
	hasWatcher        = true
	canHandOver       = true
	maxSocketPath     = 107 // sun_path has 108 bytes, one of them for the NUL
)

// detachFromTerminal gives cmd a session of its own: no Ctrl-C and no hang-up
// of the terminal reaches it.
func detachFromTerminal(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} }

func signalName(s syscall.Signal) string { return unix.SignalName(s) }
