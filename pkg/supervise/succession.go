package supervise

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/prism-data-layer/prism/pkg/prism"
)

// succeed ends what the state file and the cgroups show of a predecessor. The
// lock is ours, so whatever is left has no owner.
func (s *Supervisor) succeed() error {
	killed, left, warning, err := reap(s.opts.Dir, s.cgroupID, s.opts.Grace)
	if err != nil {
		return err
	}
	if warning != "" {
		s.warn(warning)
	}
	if killed > 0 {
		s.warn(fmt.Sprintf("ended %d processes of an earlier run that was killed", killed))
	}
	if len(left) > 0 {
		return prism.New(prism.ReasonFailedPrecond, "processes of an earlier run survive SIGKILL: %v", left)
	}
	return nil
}

// reap ends all that the state file and the cgroups of a folder show.
func reap(dir, cgroupID string, grace time.Duration) (killed int, left []int, warning string, err error) {
	removeUnfinished(dir)
	st, err := readState(dir)
	if bad := (*errState)(nil); errors.As(err, &bad) {
		warning, err = bad.Error()+"; kept aside as state.json.bad", nil
		if aside := setAside(dir); aside != nil {
			warning = bad.Error() + "; it could not be kept aside: " + aside.Error()
		}
	}
	if err != nil {
		return 0, nil, "", err
	}
	if st != nil {
		var wg sync.WaitGroup
		lefts := make([][]int, len(st.Processes))
		for i := range st.Processes {
			p := &st.Processes[i]
			if !ourCgroup(p.Cgroup, cgroupID) {
				p.Cgroup = ""
			}
			n := len(p.members())
			if n == 0 {
				p.forget()
				continue
			}
			killed += n
			wg.Go(func() { lefts[i] = p.End(p.grace(grace)); p.forget() })
		}
		wg.Wait()
		for _, l := range lefts {
			left = append(left, l...)
		}
	}
	killed += sweepCgroups(cgroupID) + sweepMarked(cgroupID)
	return killed, left, warning, nil
}
