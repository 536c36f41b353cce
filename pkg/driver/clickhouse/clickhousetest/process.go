package clickhousetest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// A process is a program that runs in a folder of its own, with its log there.
type process struct {
	name    string // for people
	dir     string
	program string
	args    []string
	ready   func() error // nil once it does its work

	cmd    *exec.Cmd
	exited chan struct{}
}

// patience is how long a server may take to start or to stop.
const patience = 2 * time.Minute

func (p *process) log() string { return filepath.Join(p.dir, "log") }

// Start starts a server that was stopped, where it was.
func (p *process) Start() error {
	log, err := os.OpenFile(p.log(), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	p.cmd = exec.Command(p.program, p.args...)
	p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr, p.cmd.SysProcAttr = p.dir, log, log, ties()
	if err := p.cmd.Start(); err != nil {
		return err
	}
	p.exited = make(chan struct{})
	go func(cmd *exec.Cmd, exited chan struct{}) {
		_ = cmd.Wait()
		close(exited)
	}(p.cmd, p.exited)
	for deadline := time.Now().Add(patience); ; {
		err := p.ready()
		if err == nil {
			return nil
		}
		select {
		case <-p.exited:
			return fmt.Errorf("%s ended: %v\n%s", p.name, p.cmd.ProcessState, p.lastLines())
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return errors.Join(fmt.Errorf("%s is not ready after %v: %w\n%s", p.name, patience, err, p.lastLines()), p.Kill())
		}
	}
}

// lastLines are the end of the log.
func (p *process) lastLines() []byte {
	text, _ := os.ReadFile(p.log())
	const lines = 20
	at := len(text)
	for range lines {
		i := bytes.LastIndexByte(text[:at], '\n')
		if i < 0 {
			return text
		}
		at = i
	}
	return text[at+1:]
}

// crashed adds to an error what the server said last, if it has ended.
func (p *process) crashed(err error) error {
	if !errors.Is(err, io.EOF) {
		return err
	}
	select {
	case <-p.exited:
		return fmt.Errorf("%w: %s ended: %v\n%s", err, p.name, p.cmd.ProcessState, p.lastLines())
	case <-time.After(time.Second): // it may be writing down why
		return err
	}
}

// Stop ends the server as an operator would; it keeps its data.
func (p *process) Stop() error { return p.end(syscall.SIGTERM) }

// Kill ends the server as a crash would.
func (p *process) Kill() error { return p.end(syscall.SIGKILL) }

// Freeze keeps the server from doing anything until Thaw.
func (p *process) Freeze() error {
	if err := p.cmd.Process.Signal(freeze); err != nil {
		return err
	}
	return stopped(p.cmd.Process.Pid)
}

// Thaw lets a frozen server go on.
func (p *process) Thaw() error { return p.cmd.Process.Signal(thaw) }

func (p *process) end(how os.Signal) error {
	if err := p.cmd.Process.Signal(how); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-p.exited:
		return nil
	case <-time.After(patience):
		_ = p.cmd.Process.Kill()
		return fmt.Errorf("%s did not end after %v\n%s", p.name, patience, p.lastLines())
	}
}

// Close stops the server for good and removes its data.
func (p *process) Close() error {
	return errors.Join(p.Kill(), os.RemoveAll(p.dir))
}
