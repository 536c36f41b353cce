// Package natstest starts NATS servers for tests: real ones, each on a free port
// of the loopback interface, with JetStream in a folder of its own.
//
// The program is the one that PRISM_TEST_NATS names, or the machine's
// nats-server. What is not there is told as not run, and with
// PRISM_TEST_REQUIRE=all it is a failure.
package natstest

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// TB is what a server asks of the test that it is started for.
type TB interface {
	Helper()
	Fatalf(format string, args ...any)
	Skipf(format string, args ...any)
	Cleanup(func())
}

// Program is the variable with the program to start.
const Program = "PRISM_TEST_NATS"

// Find is the program to start, or what is missing.
func Find() (program, missing string) {
	if program = os.Getenv(Program); program == "" {
		for _, name := range []string{"nats-server", "/usr/sbin/nats-server"} {
			if path, err := exec.LookPath(name); err == nil {
				program = path
				break
			}
		}
	}
	if program == "" {
		return "", "no NATS server: neither a program in " + Program + " nor nats-server in the path (tools/setup.sh sees to it)"
	}
	if err := exec.Command(program, "--version").Run(); err != nil {
		return "", fmt.Sprintf("no NATS server: %s does not run: %v", program, err)
	}
	return program, ""
}

// Required reports whether what is missing is a failure.
func Required() bool { return os.Getenv("PRISM_TEST_REQUIRE") == "all" }

// A Server is one that runs.
type Server struct {
	// URL is what the driver's option servers takes.
	URL string

	program string
	dir     string
	config  string
	port    int
	cmd     *exec.Cmd
	exited  chan struct{}
}

// JetStream is the setting that makes a server keep something.
const JetStream = "jetstream {store_dir: DIR, max_memory_store: 64MB, max_file_store: 8GB}\n"

// Payload lets events of a full mebibyte through.
const Payload = "max_payload: 4MB\n"

// Start starts a server for a test. Config is text of a NATS configuration, in
// which DIR is the server's folder; empty is JetStream and Payload.
func Start(t TB, config string) *Server {
	t.Helper()
	program, missing := Find()
	if missing != "" {
		if Required() {
			t.Fatalf("cannot run here: %s", missing)
		}
		t.Skipf("NOT TESTED: %s", missing)
	}
	if config == "" {
		config = JetStream + Payload
	}
	s, err := Run(program, config)
	if err != nil {
		t.Fatalf("start NATS: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Fatalf("stop NATS: %v", err)
		}
	})
	return s
}

// Run starts a program as a server of its own.
func Run(program, config string) (*Server, error) {
	dir, err := os.MkdirTemp("", "nats")
	if err != nil {
		return nil, err
	}
	s := &Server{program: program, dir: dir, port: -1}
	s.config = strings.ReplaceAll(config, "DIR", strconv.Quote(dir))
	if err := s.Start(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return s, nil
}

// patience is how long a server may take to start or to stop.
const patience = time.Minute

// Start starts a server that was stopped, on the port that it had.
func (s *Server) Start() error {
	log, file, ports := filepath.Join(s.dir, "log"), filepath.Join(s.dir, "nats.conf"), filepath.Join(s.dir, "ports")
	text := fmt.Sprintf("listen: \"127.0.0.1:%d\"\nports_file_dir: %q\nlog_file: %q\n%s", s.port, ports, log, s.config)
	if err := errors.Join(os.RemoveAll(ports), os.MkdirAll(ports, 0o700), os.WriteFile(file, []byte(text), 0o600)); err != nil {
		return err
	}
	s.cmd = exec.Command(s.program, "-c", file)
	s.cmd.SysProcAttr = ties()
	if err := s.cmd.Start(); err != nil {
		return err
	}
	s.exited = make(chan struct{})
	go func(cmd *exec.Cmd, exited chan struct{}) {
		_ = cmd.Wait()
		close(exited)
	}(s.cmd, s.exited)
	for deadline := time.Now().Add(patience); ; {
		if s.listens(ports) {
			return nil
		}
		select {
		case <-s.exited:
			text, _ := os.ReadFile(log)
			return fmt.Errorf("the server ended: %s", text)
		case <-time.After(10 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return errors.Join(errors.New("the server does not listen"), s.Stop())
		}
	}
}

// listens reads the file that the server writes once it takes connections.
func (s *Server) listens(dir string) bool {
	files, err := filepath.Glob(filepath.Join(dir, "*.ports"))
	if err != nil || len(files) == 0 {
		return false
	}
	b, err := os.ReadFile(files[0])
	if err != nil {
		return false
	}
	var told struct {
		NATS []string `json:"nats"`
	}
	if json.Unmarshal(b, &told) != nil || len(told.NATS) == 0 {
		return false
	}
	s.URL = told.NATS[0]
	_, port, _ := strings.Cut(strings.TrimPrefix(s.URL, "nats://"), ":")
	s.port, err = strconv.Atoi(port)
	return err == nil
}

// Stop ends the server as an operator would; it keeps its data.
func (s *Server) Stop() error { return s.end(syscall.SIGTERM) }

// Kill ends the server as a crash would.
func (s *Server) Kill() error { return s.end(syscall.SIGKILL) }

// Freeze keeps the server from doing anything until Thaw.
func (s *Server) Freeze() error { return s.cmd.Process.Signal(freeze) }

// Thaw lets a frozen server go on.
func (s *Server) Thaw() error { return s.cmd.Process.Signal(thaw) }

func (s *Server) end(how os.Signal) error {
	if err := s.cmd.Process.Signal(how); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-s.exited:
		return nil
	case <-time.After(patience):
		_ = s.cmd.Process.Kill()
		return errors.New("the server did not end")
	}
}

// Close stops the server for good and removes its data.
func (s *Server) Close() error {
	return errors.Join(s.end(syscall.SIGKILL), os.RemoveAll(s.dir))
}
