package supervise

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/prism-data-layer/prism/pkg/prism"
)

// A lock is held by one supervisor per folder, and by its watcher until that
// has cleaned up: as long as it is held, something of the old run remains. The
// kernel releases it with the last of the two.
type lock struct{ f *os.File }

// Held is the error of a second supervisor in the same folder.
type Held struct {
	Process // who has it
	Err     *prism.Error
}

func (h *Held) Error() string { return h.Err.Error() }
func (h *Held) Unwrap() error { return h.Err }

// takeLock takes dir's lock. A living holder is an error at once; one that is
// dead leaves the lock with its watcher, which is given the time to finish.
func takeLock(dir string, patience time.Duration) (*lock, error) {
	path := filepath.Join(dir, "lock")
	f, err := openRegular(path, os.O_RDWR|os.O_CREATE)
	if err != nil {
		return nil, err
	}
	// A holder writes its name just after it has the lock, and takes it out just
	// before it gives it back.
	blank := time.Now().Add(5 * time.Second)
	end := time.Now().Add(patience)
	for {
		err := tryLock(f)
		if err == nil {
			return &lock{f}, nil
		}
		if !errors.Is(err, errLocked) {
			f.Close()
			return nil, err
		}
		h, named := readHolder(path)
		if named && h.PID > 0 && h.Alive() || time.Now().After(blank) && !named || time.Now().After(end) {
			f.Close()
			msg := prism.New(prism.ReasonAlreadyExists, "a supervisor runs in %s already: pid %d", dir, h.PID)
			return nil, &Held{h, msg.WithMeta("kind", "already_running").WithMeta("holder_pid", strconv.Itoa(h.PID))}
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// takeLockFromTheDead is takeLock, but a watcher that still holds the lock of a
// dead supervisor when the services' grace is well over hangs, and is killed. What it did
// not clean up, the caller does.
func takeLockFromTheDead(dir string, grace time.Duration) (*lock, error) {
	if st, bad := readState(dir); bad == nil && st != nil {
		for _, p := range st.Processes {
			grace = p.grace(grace)
		}
	}
	patience := grace + killBound + 2*time.Second
	l, err := takeLock(dir, patience)
	var held *Held
	if !errors.As(err, &held) || held.Alive() {
		return l, err
	}
	if st, bad := readState(dir); bad == nil && st != nil && st.Watcher.signal(syscall.SIGKILL) {
		return takeLock(dir, patience)
	}
	return nil, err
}

// sign writes into the file who holds the lock.
func (l *lock) sign(p Process) error {
	b, err := json.Marshal(p)
	if err != nil {
		return err
	}
	b = append(b, '\n')
	if _, err := l.f.WriteAt(b, 0); err != nil {
		return err
	}
	return l.f.Truncate(int64(len(b)))
}

// release gives the lock back, with no name in it: a pid file of nobody. The
// file stays: removing it would let two supervisors lock two files of one name.
func (l *lock) release() {
	l.f.Truncate(0)
	l.f.Close()
}

func readHolder(path string) (Process, bool) {
	b, err := readRegular(path, 1<<12)
	if err != nil {
		return Process{}, false
	}
	var p Process
	return p, json.Unmarshal(b, &p) == nil
}
