package supervise

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// native is empty: cgroups and pidfds are found again from the record.
//
//lint:ignore U1000 the type of a field that other systems use
type native struct{}

// stat is what we use of /proc/PID/stat.
type stat struct {
	pid, parent, group int
	zombie             bool
	start              uint64 // clock ticks since boot
}

func readStat(pid int) (stat, error) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return stat{}, err
	}
	// The second field is the program's name in brackets and may hold anything.
	i := bytes.LastIndexByte(b, ')')
	if i < 0 {
		return stat{}, fmt.Errorf("/proc/%d/stat: no name", pid)
	}
	f := strings.Fields(string(b[i+1:]))
	if len(f) < 20 {
		return stat{}, fmt.Errorf("/proc/%d/stat: %d fields", pid, len(f))
	}
	s := stat{pid: pid, zombie: f[0] == "Z" || f[0] == "X"}
	s.parent, _ = strconv.Atoi(f[1])
	s.group, _ = strconv.Atoi(f[2])
	s.start, _ = strconv.ParseUint(f[19], 10, 64)
	return s, nil
}

// startTime is when the process began, in clock ticks since boot.
func startTime(pid int) (uint64, error) {
	s, err := readStat(pid)
	return s.start, err
}

// Alive reports whether the process on record runs: same pid, same start, same
// program, same nonce.
func (p *Process) Alive() bool {
	if p.PID <= 0 {
		return false
	}
	s, err := readStat(p.PID)
	if err != nil || s.zombie || s.start != p.Start {
		return false
	}
	if p.Exe != "" {
		exe, err := os.Readlink("/proc/" + strconv.Itoa(p.PID) + "/exe")
		// A program that was rebuilt while it runs is still the same process.
		exe = strings.TrimSuffix(exe, " (deleted)")
		if err != nil || (exe != realPath(p.Exe) && exe != realPath(p.Shim)) {
			return false
		}
	}
	return p.Nonce == "" || hasNonce(p.PID, p.Nonce)
}

func realPath(p string) string {
	if r, err := filepath.EvalSymlinks(p); err == nil {
		return r
	}
	return strings.TrimSuffix(p, " (deleted)")
}

func hasNonce(pid int, nonce string) bool { return hasEnv(pid, EnvNonce+"="+nonce) }

func hasEnv(pid int, want string) bool {
	env, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/environ")
	if err != nil {
		return false
	}
	return slices.ContainsFunc(bytes.Split(env, []byte{0}), func(kv []byte) bool { return string(kv) == want })
}

// sweepMarked ends whatever still carries the mark of this project, when not
// even the state file knows of it. The caller holds the lock, so nobody else
// uses it; we, and who started us, may have inherited it.
func sweepMarked(id string) (killed int) {
	for end := time.Now().Add(killBound); time.Now().Before(end); {
		all := allProcesses()
		for pid := os.Getpid(); pid > 0; {
			parent := all[pid].parent
			delete(all, pid)
			pid = parent
		}
		found := 0
		for pid, s := range all {
			if !s.zombie && hasEnv(pid, EnvProject+"="+id) {
				killExactly(s)
				found++
			}
		}
		if found == 0 {
			return killed
		}
		killed = max(killed, found)
		time.Sleep(5 * time.Millisecond)
	}
	return killed
}

// members are the living processes of the tree.
func (p *Process) members() []int {
	if p.Cgroup != "" {
		pids := cgroupPids(p.Cgroup)
		slices.Sort(pids)
		return pids
	}
	var pids []int
	for _, s := range p.scan() {
		pids = append(pids, s.pid)
	}
	return pids
}

// scan finds the tree without a cgroup: the process group while its leader is
// known, whatever carries the nonce, and all that descends from these.
func (p *Process) scan() []stat {
	all := allProcesses()
	self := os.Getpid()
	in := map[int]bool{}
	leader := all[p.PID]
	// A group's number is only ours while its leader is there: alive, or as a
	// zombie that we have not waited for.
	ours := p.Alive() || leader.zombie && leader.parent == self && leader.start == p.Start
	for pid, s := range all {
		if pid == self || pid == 1 {
			continue
		}
		if (ours && (pid == p.PID || s.group == p.PID)) || (p.Nonce != "" && hasNonce(pid, p.Nonce)) {
			in[pid] = true
		}
	}
	for grew := true; grew; {
		grew = false
		for pid, s := range all {
			if !in[pid] && in[s.parent] && pid != self && pid != 1 {
				in[pid], grew = true, true
			}
		}
	}
	var out []stat
	for pid := range in {
		if !all[pid].zombie {
			out = append(out, all[pid])
		}
	}
	slices.SortFunc(out, func(a, b stat) int { return a.pid - b.pid })
	return out
}

func allProcesses() map[int]stat {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	out := make(map[int]stat, len(entries))
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if s, err := readStat(pid); err == nil {
			out[pid] = s
		}
	}
	return out
}

// killTree kills until nothing is left or the bound is over; then it returns
// what survives.
func (p *Process) killTree(bound time.Duration) (left []int) {
	pause := time.Millisecond
	for end := time.Now().Add(bound); ; {
		if p.Cgroup != "" {
			if cgroupEmpty(p.Cgroup) {
				return nil
			}
			cgroupKill(p.Cgroup)
		} else {
			tree := p.scan()
			if len(tree) == 0 {
				return nil
			}
			for _, s := range tree {
				killExactly(s)
			}
		}
		if time.Now().After(end) {
			return p.members()
		}
		time.Sleep(pause)
		pause = min(2*pause, 20*time.Millisecond)
	}
}

// killExactly kills the process that was seen, not one that took its pid since.
func killExactly(seen stat) {
	h, err := os.FindProcess(seen.pid)
	if err != nil {
		return
	}
	defer h.Release()
	if now, err := readStat(seen.pid); err == nil && now.start == seen.start {
		h.Kill()
	}
}

// forget removes what the tree leaves in the system once it is dead.
func (p *Process) forget() error {
	if p.Cgroup == "" {
		return nil
	}
	if err := removeCgroup(p.Cgroup); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
