//go:build unix && !linux

package supervise

import (
	"os/exec"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// What stands here is the process group and the watcher. There are no cgroups
// and no subreaper: a child that leaves its group escapes. There is no /proc either: a process is told by pid and start time.
const (
	fallbackIsolation = "process group"
	hasWatcher        = true
	canHandOver       = true
	maxSocketPath     = 103 // sun_path has 104 bytes, one of them for the NUL
)

type native struct{}

func detachFromTerminal(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} }

func signalName(s syscall.Signal) string { return unix.SignalName(s) }

func (c *child) start() error {
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return c.cmd.Start()
}

// awaitExit waits. The zombie cannot be kept here, so the group's number could
// in theory be given away between this and killTree.
func (c *child) awaitExit() { c.cmd.Wait() }

// Alive reports whether the process on record runs: same pid, same start.
func (p *Process) Alive() bool {
	start, err := startTime(p.PID)
	return p.PID > 0 && err == nil && start == p.Start && unix.Kill(p.PID, 0) == nil
}

// members is the leader, or the group's number when only others are left of it.
func (p *Process) members() []int {
	if p.PID > 0 && unix.Kill(-p.PID, 0) == nil {
		return []int{p.PID}
	}
	return nil
}

func (p *Process) killTree(bound time.Duration) (left []int) {
	// A leader that is somebody else means that the number was given away.
	if start, err := startTime(p.PID); p.PID <= 0 || err == nil && start != p.Start {
		return nil
	}
	for end := time.Now().Add(bound); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if unix.Kill(-p.PID, unix.SIGKILL) != nil {
			return nil
		}
	}
	return p.members()
}

func (p *Process) forget() error { return nil }

func openCgroups(string) (string, error) { return "", unix.ENOTSUP }
func ourCgroup(_, _ string) bool         { return false }
func sweepCgroups(string) int            { return 0 }
func sweepMarked(string) int             { return 0 }
func becomeSubreaper() error             { return unix.ENOTSUP }
func reapOrphans([]int)                  {}
func zombieOrphans(map[int]bool) []int   { return nil }
