package supervise

import (
	"fmt"
	"os"
	"runtime"
)

// The hidden first arguments. They are not commands: nobody types them, and
// help does not show them.
const (
	argExec  = "__prism-supervise-exec"
	argWatch = "__prism-supervise-watch"
)

// Reexec is the first call in main of every program that supervises. The
// supervisor starts its own binary again for two small jobs, and Reexec does
// them when args (os.Args) ask for one:
//
//   - the watcher, which ends the services when the supervisor is gone;
//   - the shim, which a service's process is until it is on record: it then sets
//     LISTEN_PID, which only the process itself can know, and becomes the
//     service's program. The pid stays.
//
// If ran is true, main exits with code and does nothing else.
func Reexec(args []string) (code int, ran bool) {
	if len(args) < 2 {
		return 0, false
	}
	switch args[1] {
	case argExec:
		return runShim(args[2:]), true
	case argWatch:
		return runWatcher(os.Stdin, os.Stderr), true
	}
	return 0, false
}

// selfPath is this program, as a child of ours can start it: on Linux the very
// file that runs, even when it was replaced by a newer build meanwhile.
func selfPath() (string, error) {
	if runtime.GOOS == "linux" {
		if _, err := os.Stat("/proc/self/exe"); err == nil {
			return "/proc/self/exe", nil
		}
	}
	exe, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("find our own program: %w", err)
	}
	return exe, nil
}
