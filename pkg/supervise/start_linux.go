package supervise

import (
	"errors"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// start forks into the cgroup, or without one where the kernel refuses.
func (c *child) start() error {
	// A group of its own: Ctrl-C in the terminal is for the supervisor, which
	// stops the services in order.
	//
	// No parent-death signal: it comes once for every thread of the parent that
	// the child is handed on to as the threads die, and a second SIGTERM tells a
	// program to hurry instead of closing clean. It would not reach grandchildren
	// either. The watcher does both right.
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if c.Cgroup != "" {
		dir, err := os.OpenFile(c.Cgroup, os.O_RDONLY|syscall.O_DIRECTORY, 0)
		if err != nil {
			return err
		}
		defer dir.Close()
		c.cmd.SysProcAttr.UseCgroupFD = true
		c.cmd.SysProcAttr.CgroupFD = int(dir.Fd())
	}
	return c.cmd.Start()
}

// awaitExit blocks until the process has ended and leaves it as a zombie, so
// that its pid, and the number of its group, stay taken until the caller waits.
func (c *child) awaitExit() {
	for {
		err := unix.Waitid(unix.P_PID, c.PID, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			return
		}
	}
}

// becomeSubreaper makes orphans of our children our children, so that a walk
// by parent finds those that forked twice.
func becomeSubreaper() error {
	return unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
}

// zombieOrphans are the dead children that came to us by adoption: not known,
// and not of our own process group, as a command that this program runs is.
func zombieOrphans(known map[int]bool) (pids []int) {
	self, group := os.Getpid(), syscall.Getpgrp()
	for pid, s := range allProcesses() {
		if s.zombie && s.parent == self && s.group != group && !known[pid] {
			pids = append(pids, pid)
		}
	}
	return pids
}

// reapOrphans collects zombies that the subreaper inherited. Only pids that
// were seen in the tree are waited for: exec.Cmd waits for its own.
func reapOrphans(pids []int) {
	for _, pid := range pids {
		unix.Wait4(pid, nil, unix.WNOHANG, nil)
	}
}
