package powercut

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
)

// An Ack says that a writer's n-th write was answered with OK.
type Ack struct {
	Writer uint16
	N      uint32
}

const ackSize = 6

// WriteAck is what a child calls for each ack, on standard output. One write
// of so few bytes is not torn on a pipe.
func WriteAck(w io.Writer, a Ack) error {
	var b [ackSize]byte
	binary.BigEndian.PutUint16(b[:], a.Writer)
	binary.BigEndian.PutUint32(b[2:], a.N)
	_, err := w.Write(b[:])
	return err
}

// A Process is a child that writes and tells what was acked. Each writer's
// writes are numbered and follow one another, so that what is acked is a count.
type Process struct {
	cmd  *exec.Cmd
	mu   sync.Mutex
	next []uint32 // per writer, one more than the last that was acked
	done chan struct{}
	err  error
}

// Start runs name with env added; it counts on from start.
func Start(name string, args, env []string, start []uint32) (*Process, error) {
	p := &Process{next: append([]uint32(nil), start...), done: make(chan struct{})}
	p.cmd = exec.Command(name, args...)
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stderr = os.Stderr
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go p.read(out)
	return p, nil
}

func (p *Process) read(out io.Reader) {
	defer close(p.done)
	var b [ackSize]byte
	for {
		if _, err := io.ReadFull(out, b[:]); err != nil {
			if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
				p.err = err
			}
			return
		}
		a := Ack{binary.BigEndian.Uint16(b[:]), binary.BigEndian.Uint32(b[2:])}
		p.mu.Lock()
		if int(a.Writer) >= len(p.next) || p.next[a.Writer] != a.N {
			p.err = fmt.Errorf("unexpected ack %+v", a)
		} else {
			p.next[a.Writer]++
		}
		p.mu.Unlock()
	}
}

// Acked is the snapshot of what has been acked, per writer.
func (p *Process) Acked() []uint32 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]uint32(nil), p.next...)
}

// Kill ends the process with SIGKILL and reads what it had still said. The
// error is of the bookkeeping, not of the process's death.
func (p *Process) Kill() error {
	_ = p.cmd.Process.Kill()
	<-p.done
	_ = p.cmd.Wait()
	return p.err
}
