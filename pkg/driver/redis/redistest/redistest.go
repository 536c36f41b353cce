// Package redistest starts Redis servers for tests: real ones, each with its
// data in a folder of its own, behind a Unix socket that no other program has.
//
// Version 7 is the machine's redis-server, version 8 the one that tools/redis8.sh
// has put into the cache. A server that runs already is used if
// PRISM_TEST_REDIS or PRISM_TEST_REDIS8 has its address. What is not there is
// told as not tested, and with PRISM_TEST_REQUIRE=all it is a failure.
package redistest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
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

// A Version is a line of Redis that the driver is tested on.
type Version struct {
	Name    string // as in the matrix: redis-7
	Env     string // the variable with the address of one that runs
	Program string // the variable with a program to start instead
	major   string
	look    func() string
}

// Versions are the lines of Redis that the driver is tested on.
func Versions() []Version { return []Version{Seven(), Eight()} }

// Seven is the oldest line that the driver supports.
func Seven() Version {
	return Version{Name: "redis-7", Env: "PRISM_TEST_REDIS", Program: "PRISM_NATIVE_REDIS", major: "7", look: func() string {
		path, err := exec.LookPath("redis-server")
		if err != nil {
			return ""
		}
		return path
	}}
}

// Eight is the newest.
func Eight() Version {
	return Version{Name: "redis-8", Env: "PRISM_TEST_REDIS8", Program: "PRISM_NATIVE_REDIS8", major: "8", look: func() string {
		cache, err := os.UserCacheDir()
		if err != nil {
			return ""
		}
		path := filepath.Join(cache, "prism-test", "redis-8", "redis-server")
		if _, err := os.Stat(path); err != nil {
			return ""
		}
		return path
	}}
}

// Find is the program to start, or what is missing.
func (v Version) Find() (program, missing string) {
	program = os.Getenv(v.Program)
	if program == "" {
		program = v.look()
	}
	if program == "" {
		return "", "no server of " + v.Name + ": neither an address in " + v.Env + " nor a program (tools/setup.sh sees to it)"
	}
	out, err := exec.Command(program, "--version").Output()
	if err != nil {
		return "", fmt.Sprintf("no server of %s: %s does not run: %v", v.Name, program, err)
	}
	if !strings.Contains(string(out), " v="+v.major+".") {
		return "", fmt.Sprintf("no server of %s: %s is %s", v.Name, program, strings.TrimSpace(string(out)))
	}
	return program, ""
}

// Missing says what is missing, if anything is.
func (v Version) Missing() string {
	if os.Getenv(v.Env) != "" {
		return ""
	}
	_, missing := v.Find()
	return missing
}

// Required reports whether what is missing is a failure.
func Required() bool { return os.Getenv("PRISM_TEST_REQUIRE") == "all" }

// A Server is one that runs.
type Server struct {
	// Addr is what the driver's option addrs takes.
	Addr string

	program string
	dir     string
	file    string // of settings that the server writes to itself, as a sentinel does
	args    []string
	cmd     *exec.Cmd
	exited  chan struct{}
}

// Start starts a server for a test, or uses the one that runs already. Args
// are settings beside those that keep it small and away from others.
func (v Version) Start(t TB, args ...string) *Server {
	t.Helper()
	if addr := os.Getenv(v.Env); addr != "" && len(args) == 0 {
		return &Server{Addr: addr}
	}
	s, err := Run(v.find(t), args...)
	if err != nil {
		t.Fatalf("start %s: %v", v.Name, err)
	}
	s.endWith(t)
	return s
}

// find is the program; without one the test ends.
func (v Version) find(t TB) string {
	t.Helper()
	program, missing := v.Find()
	if missing != "" {
		if Required() {
			t.Fatalf("cannot run here: %s", missing)
		}
		t.Skipf("NOT TESTED: %s", missing)
	}
	return program
}

func (s *Server) endWith(t TB) {
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Fatalf("stop %s: %v", s.program, err)
		}
	})
}

// Run starts a program as a server of its own.
func Run(program string, args ...string) (*Server, error) { return run(program, "", args...) }

// run starts a server with settings in a file of its own, if there are any.
func run(program, settings string, args ...string) (*Server, error) {
	dir, err := os.MkdirTemp("", "redis")
	if err != nil {
		return nil, err
	}
	s := &Server{program: program, dir: dir, args: args, Addr: filepath.Join(dir, "s")}
	if settings != "" {
		s.file = filepath.Join(dir, "settings")
		err = os.WriteFile(s.file, []byte(settings), 0o600)
	}
	if err == nil {
		err = s.Start()
	}
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return s, nil
}

// patience is how long a server may take to start or to stop.
const patience = time.Minute

// Start starts a server that was stopped.
func (s *Server) Start() error {
	log := filepath.Join(s.dir, "log")
	args := []string{"--port", "0", "--unixsocket", s.socket(), "--dir", s.dir, "--daemonize", "no", "--logfile", log}
	if s.file != "" {
		args = append([]string{s.file}, args...)
	} else {
		args = append(args, "--save", "", "--maxclients", "2000")
	}
	s.cmd = exec.Command(s.program, append(args, s.args...)...)
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
		if s.answers() {
			return nil
		}
		select {
		case <-s.exited:
			text, _ := os.ReadFile(log)
			return fmt.Errorf("the server ended: %s", text)
		case <-time.After(10 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return errors.Join(errors.New("the server does not answer"), s.Stop())
		}
	}
}

// socket is where the server listens, whatever its address for others.
func (s *Server) socket() string { return filepath.Join(s.dir, "s") }

// answers sends a PING.
func (s *Server) answers() bool {
	answer, err := s.Ask("PING")
	return err == nil && answer == "PONG"
}

// running reports whether the server was started and has not ended.
func (s *Server) running() bool {
	select {
	case <-s.exited:
		return false
	default:
		return true
	}
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
	if s.cmd == nil {
		return nil
	}
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
	if s.cmd == nil {
		return nil
	}
	return errors.Join(s.end(syscall.SIGKILL), os.RemoveAll(s.dir))
}
