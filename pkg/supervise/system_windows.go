package supervise

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"
)

// What stands here is one job object per service that ends with our handle to
// it, so no watcher is needed. There is no hand-over of listeners, no shim and
// no peer check; the program may fork in the instant before it is in the job.
// All of it is built and vetted, not tested.
const (
	fallbackIsolation = "job object"
	hasWatcher        = false
	canHandOver       = false
	maxSocketPath     = 107
	noFollow          = 0
)

type native struct{ job windows.Handle }

func isLink(error) bool                  { return false }
func isOurs(fs.FileInfo) bool            { return true }
func syncDir(string) error               { return nil }
func signalName(s syscall.Signal) string { return s.String() }

func detachFromTerminal(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{CreationFlags: windows.DETACHED_PROCESS}
}

// Who may write is a matter of access lists here, not of the mode.
func sharedWithOthers(fs.FileInfo) bool { return false }

func shareable(f *os.File) (*os.File, error) { return f, nil }

var errLocked = errors.New("locked")

func tryLock(f *os.File) error {
	// One byte far beyond the text, which stays readable.
	o := &windows.Overlapped{OffsetHigh: 1}
	err := windows.LockFileEx(windows.Handle(f.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, o)
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) {
		return errLocked
	}
	return err
}

func runShim([]string) int { return 2 }

func (c *child) command(spec Spec, sockets []*os.File) (*exec.Cmd, *os.File, error) {
	if len(sockets) > 0 {
		return nil, nil, errors.New("listeners cannot be handed over on windows: let the program listen by itself")
	}
	return exec.Command(spec.Path, spec.Args...), nil, nil
}

func (c *child) start() error {
	job, err := windows.CreateJobObject(nil, nil)
	if err != nil {
		return err
	}
	limits := windows.JOBOBJECT_EXTENDED_LIMIT_INFORMATION{}
	limits.BasicLimitInformation.LimitFlags = windows.JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE
	if _, err := windows.SetInformationJobObject(job, windows.JobObjectExtendedLimitInformation,
		uintptr(unsafe.Pointer(&limits)), uint32(unsafe.Sizeof(limits))); err != nil {
		windows.CloseHandle(job)
		return err
	}
	c.cmd.SysProcAttr = &syscall.SysProcAttr{CreationFlags: windows.CREATE_NEW_PROCESS_GROUP}
	if err := c.cmd.Start(); err != nil {
		windows.CloseHandle(job)
		return err
	}
	h, err := windows.OpenProcess(windows.PROCESS_SET_QUOTA|windows.PROCESS_TERMINATE, false, uint32(c.cmd.Process.Pid))
	if err == nil {
		err = windows.AssignProcessToJobObject(job, h)
		windows.CloseHandle(h)
	}
	if err != nil {
		c.cmd.Process.Kill()
		windows.CloseHandle(job)
		return err
	}
	c.native.job = job
	return nil
}

func (c *child) awaitExit() { c.cmd.Wait() }

// terminateProcess sends a Ctrl-Break to the program's own group.
func terminateProcess(p *os.Process) error {
	return windows.GenerateConsoleCtrlEvent(windows.CTRL_BREAK_EVENT, uint32(p.Pid))
}

// startTime is when the process began, in 100 ns since 1601.
func startTime(pid int) (uint64, error) {
	h, err := windows.OpenProcess(windows.PROCESS_QUERY_LIMITED_INFORMATION, false, uint32(pid))
	if err != nil {
		return 0, err
	}
	defer windows.CloseHandle(h)
	var created, exited, kernel, user windows.Filetime
	if err := windows.GetProcessTimes(h, &created, &exited, &kernel, &user); err != nil {
		return 0, err
	}
	if exited.HighDateTime != 0 {
		return 0, errors.New("process " + strconv.Itoa(pid) + " has ended")
	}
	return uint64(created.HighDateTime)<<32 | uint64(created.LowDateTime), nil
}

// Alive reports whether the process on record runs: same pid, same start.
func (p *Process) Alive() bool {
	start, err := startTime(p.PID)
	return p.PID > 0 && err == nil && start == p.Start
}

func (p *Process) members() []int {
	if p.Alive() {
		return []int{p.PID}
	}
	return nil
}

func (p *Process) killTree(time.Duration) (left []int) {
	if p.native.job != 0 {
		windows.TerminateJobObject(p.native.job, 1)
		return nil
	}
	if h, err := os.FindProcess(p.PID); err == nil && p.Alive() {
		h.Kill()
	}
	return nil
}

func (p *Process) forget() error {
	if p.native.job != 0 {
		windows.CloseHandle(p.native.job)
		p.native.job = 0
	}
	return nil
}

func openCgroups(string) (string, error) { return "", errors.ErrUnsupported }
func ourCgroup(_, _ string) bool         { return false }
func sweepCgroups(string) int            { return 0 }
func sweepMarked(string) int             { return 0 }
func becomeSubreaper() error             { return errors.ErrUnsupported }
func reapOrphans([]int)                  {}
func zombieOrphans(map[int]bool) []int   { return nil }
