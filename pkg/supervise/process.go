package supervise

import (
	"crypto/rand"
	"encoding/hex"
	"os"
	"syscall"
	"time"

	"github.com/prism-data-layer/prism/pkg/clock"
)

// EnvNonce is the variable in a child's environment that tells it, and all it
// forks, from a stranger that was given the same pid.
const EnvNonce = "PRISM_SUPERVISE_NONCE"

// EnvProject is there too: whose service it is, for the day when a supervisor,
// its watcher and its state file are all gone.
const EnvProject = "PRISM_SUPERVISE_PROJECT"

// A Process is what the state file and the watcher know of one start of a
// service: enough to find it and everything it forked, and to tell that from
// anything else. Its methods are safe on records of any age.
type Process struct {
	Name   string `json:"name"`
	PID    int    `json:"pid"`
	Start  uint64 `json:"start"`            // in the system's own unit; see startTime
	Exe    string `json:"exe,omitempty"`    // the program
	Shim   string `json:"shim,omitempty"`   // what it runs until it becomes the program
	Nonce  string `json:"nonce,omitempty"`  // in its environment
	Cgroup string `json:"cgroup,omitempty"` // its cgroup's folder, if it has one

	Stop time.Duration `json:"stop,omitempty"` // what its Spec asks for between SIGTERM and SIGKILL

	native native //lint:ignore U1000 empty on Linux, a job object on Windows
}

func newNonce() string {
	b := make([]byte, 16)
	rand.Read(b)
	return hex.EncodeToString(b)
}

// myself is the record of this process.
func myself(name string) Process {
	exe, _ := os.Executable()
	start, _ := startTime(os.Getpid())
	return Process{Name: name, PID: os.Getpid(), Start: start, Exe: exe}
}

// signal sends sig to the process if it is still the one on record.
func (p *Process) signal(sig syscall.Signal) bool {
	if p.PID <= 0 {
		return false
	}
	// The handle comes first (a pidfd on Linux): once it is open the pid cannot
	// be given to somebody else between the check and the signal.
	h, err := os.FindProcess(p.PID)
	if err != nil {
		return false
	}
	defer h.Release()
	return p.Alive() && h.Signal(sig) == nil
}

// End asks the process to stop, waits for at most grace, and then kills it and
// everything it forked. It returns what could not be killed.
func (p *Process) End(grace time.Duration) (left []int) {
	if p.signal(syscall.SIGTERM) {
		ran := newAwake(clock.Real())
		for took := time.Duration(0); took < grace && p.Alive(); took, _ = ran.lap(time.Second) {
			time.Sleep(10 * time.Millisecond)
		}
	}
	return p.killTree(killBound)
}

// maxOrphanStop bounds what a record may ask of us: it was read from a file.
const maxOrphanStop = 10 * time.Minute

// grace is how long it may take to stop when its supervisor is dead.
func (p *Process) grace(least time.Duration) time.Duration {
	return max(least, min(p.Stop, maxOrphanStop))
}

// killBound is how long a SIGKILL may take to show; more means that a process
// hangs in the kernel, and then we say so.
const killBound = 5 * time.Second
