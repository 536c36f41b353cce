package clickhousetest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const (
	freeze = syscall.SIGSTOP
	thaw   = syscall.SIGCONT
)

// ties ends the server when the test program ends, however that comes.
func ties() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }

// stopped waits until all threads stand still: the signal comes to each in its
// own time, and one may answer a call before.
func stopped(pid int) error {
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		if still(pid) {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("process %d does not stand still", pid)
		}
	}
}

func still(pid int) bool {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	for _, file := range threads {
		stat, err := os.ReadFile(file)
		if err != nil {
			return false
		}
		if _, state, _ := strings.Cut(string(stat), ") "); !strings.HasPrefix(state, "T") {
			return false
		}
	}
	return err == nil && len(threads) > 0
}
