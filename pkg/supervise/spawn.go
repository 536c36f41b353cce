package supervise

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/prism-data-layer/prism/pkg/supervise/handover"
)

// childEnv is the environment of a child: ours and the spec's, without what
// another supervisor said to us, and with the nonce and the hand-over.
func childEnv(extra []string, project, nonce string, sockets []string) []string {
	drop := []string{handover.EnvPID, handover.EnvFDs, handover.EnvNames, "NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC", EnvNonce, EnvProject}
	env := slices.DeleteFunc(os.Environ(), func(kv string) bool {
		k, _, _ := strings.Cut(kv, "=")
		return slices.Contains(drop, k)
	})
	env = append(env, extra...)
	env = append(env, EnvNonce+"="+nonce, EnvProject+"="+project)
	if len(sockets) > 0 {
		env = append(env, handover.Env(sockets)...)
	}
	return env
}

// A child is a started process, held at the gate until it is on record.
type child struct {
	Process
	cmd  *exec.Cmd
	gate *os.File // nil where there is no shim
}

// spawn starts spec's program in a tree of its own: in the cgroup if there is
// one. The program itself runs only after release.
func spawn(project string, spec Spec, sockets []*os.File, output *os.File, cgroup string) (*child, error) {
	c := &child{Process: Process{Name: spec.Name, Nonce: newNonce(), Cgroup: cgroup, Exe: recordedExe(spec.Path), Stop: spec.asked}}
	var names []string
	for _, l := range spec.Listen {
		if !l.Own {
			names = append(names, l.Name)
		}
	}
	var err error
	if c.cmd, c.gate, err = c.command(spec, sockets); err != nil {
		return nil, err
	}
	c.cmd.Dir = spec.Dir
	c.cmd.Env = childEnv(spec.Env, project, c.Nonce, names)
	c.cmd.Stdout, c.cmd.Stderr = output, output
	err = c.start()
	closeAll(c.cmd.ExtraFiles[len(sockets):])
	if err != nil {
		c.closeGate()
		return nil, fmt.Errorf("start %s: %w", spec.Path, err)
	}
	c.PID = c.cmd.Process.Pid
	if c.Start, err = startTime(c.PID); err != nil {
		c.Start = 0
	}
	return c, nil
}

// release lets the program run; the process is on record now.
func (c *child) release() {
	if c.gate != nil {
		c.gate.Write([]byte{1})
	}
	c.closeGate()
}

func (c *child) closeGate() {
	if c.gate != nil {
		c.gate.Close()
		c.gate = nil
	}
}

// recordedExe is the program to compare a process with later; "" for a script,
// whose process runs its interpreter.
func recordedExe(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return path
	}
	defer f.Close()
	head := make([]byte, 2)
	if f.Read(head); string(head) == "#!" {
		return ""
	}
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}

func closeAll(fs []*os.File) {
	for _, f := range fs {
		f.Close()
	}
}
