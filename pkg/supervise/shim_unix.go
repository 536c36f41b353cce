//go:build unix

package supervise

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"

	"github.com/prism-data-layer/prism/pkg/supervise/handover"
)

// command builds the shim's command line: this program again, told how many
// sockets precede the gate, and what to become.
func (c *child) command(spec Spec, sockets []*os.File) (*exec.Cmd, *os.File, error) {
	self, err := selfPath()
	if err != nil {
		return nil, nil, err
	}
	wait, gate, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	c.Shim, _ = os.Executable()
	cmd := exec.Command(self)
	cmd.Args = append([]string{"prism-exec", argExec, strconv.Itoa(len(sockets)), spec.Path}, spec.Args...)
	cmd.ExtraFiles = append(append([]*os.File{}, sockets...), wait)
	return cmd, gate, nil
}

// runShim waits at the gate and becomes the program. Its exit codes are the
// shell's: 127 for a program that cannot be run.
func runShim(args []string) int {
	if len(args) < 2 {
		return 2
	}
	n, err := strconv.Atoi(args[0])
	if err != nil || n < 0 {
		return 2
	}
	gate := handover.FirstFD + n
	syscall.CloseOnExec(gate)
	// End of file without a byte: the supervisor died before it had this
	// process on record, so it must not start to be anything.
	var b [1]byte
	for {
		got, err := syscall.Read(gate, b[:])
		if err == syscall.EINTR {
			continue
		}
		if err != nil || got != 1 {
			return 125
		}
		break
	}
	if n > 0 {
		os.Setenv(handover.EnvPID, strconv.Itoa(os.Getpid()))
	}
	err = syscall.Exec(args[1], args[1:], os.Environ())
	fmt.Fprintf(os.Stderr, "cannot run %s: %v\n", args[1], err)
	return 127
}
