package supervise

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"

	"github.com/prism-data-layer/prism/pkg/prism"
)

// Inspect tells from the files in dir what is there when no supervisor
// answers. Every pid in it was checked to be the very process on record; a
// service of a dead supervisor is stopped, or degraded when its process still
// runs and waits to be ended by [Cleanup] or the next [Open]. It changes
// nothing. Nothing there is a Status without services.
func Inspect(dir string) (Status, error) {
	st, err := readState(dir)
	if bad := (*errState)(nil); errors.As(err, &bad) {
		return Status{Warnings: []string{bad.Error()}}, nil
	}
	if err != nil || st == nil {
		return Status{}, err
	}
	out := st.Status
	out.Running, out.Ready, out.Watcher = false, false, 0
	if out.Supervisor = 0; st.Supervisor.Alive() && holdsLock(dir, st.Supervisor.PID) {
		out.Supervisor = st.Supervisor.PID
		out.Warnings = append(out.Warnings, "the supervisor, pid "+strconv.Itoa(st.Supervisor.PID)+", lives but does not answer")
	}
	byName := map[string]Process{}
	for _, p := range st.Processes {
		byName[p.Name] = p
	}
	for i := range out.Services {
		s := &out.Services[i]
		p := byName[s.Name]
		s.PID = 0
		if p.Alive() {
			s.State, s.PID, s.Message = Degraded, p.PID, "runs without a supervisor"
		} else if s.State != CrashLoop {
			s.State, s.Message = Stopped, ""
		}
	}
	return out, nil
}

func holdsLock(dir string, pid int) bool {
	h, ok := readHolder(filepath.Join(dir, "lock"))
	return ok && h.PID == pid
}

// Cleanup ends what a killed supervisor left, as Open would: processes,
// cgroups, the control socket. It returns how many processes it ended. A
// running supervisor is a *[Held]. Only Dir, ID, Socket and Grace are used.
func Cleanup(o Options) (ended int, err error) {
	o = o.withDefaults()
	if _, err := os.Lstat(o.Dir); errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err := privateDir(o.Dir); err != nil {
		return 0, err
	}
	l, err := takeLockFromTheDead(o.Dir, o.Grace)
	if err != nil {
		return 0, err
	}
	defer l.release()
	ended, left, _, err := reap(o.Dir, cgroupID(o.ID, o.Dir), o.Grace)
	if err != nil {
		return ended, err
	}
	if len(left) > 0 {
		return ended, prism.New(prism.ReasonFailedPrecond, "these survive SIGKILL: %v", left)
	}
	if st, err := readState(o.Dir); err == nil && st != nil {
		st.Processes = nil
		for i := range st.Status.Services {
			st.Status.Services[i].State, st.Status.Services[i].PID = Stopped, 0
		}
		if err := writeState(o.Dir, st); err != nil {
			return ended, err
		}
	}
	if fi, err := os.Lstat(o.Socket); err == nil && fi.Mode()&os.ModeSocket != 0 {
		return ended, os.Remove(o.Socket)
	}
	return ended, nil
}
