package main

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	kvv1 "github.com/prism-data-layer/prism/proto/prism/keyvalue/v1"
)

// A process is a server that the bench has started.
type process struct {
	cmd   *exec.Cmd
	data  string // address
	admin string
	dir   string

	metrics string // with profiles
}

// prismd starts a gateway on free ports with the given configuration.
func (b *bench) prismd(ctx context.Context, config string, args ...string) (*process, error) {
	dir, err := os.MkdirTemp("", "prism-bench-")
	if err != nil {
		return nil, err
	}
	b.undo = append(b.undo, func() { os.RemoveAll(dir) })
	ports := freePorts(3)
	p := &process{dir: dir, data: ports[0], admin: ports[1], metrics: ports[2]}
	args = append([]string{"--data-dir", filepath.Join(dir, "data"), "--data", ports[0], "--admin", ports[1], "--metrics", ports[2]}, args...)
	if config != "" {
		file := filepath.Join(dir, "prism.yaml")
		if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
			return nil, err
		}
		args = append(args, "--config", file)
	}
	log, err := os.Create(filepath.Join(dir, "prismd.log"))
	if err != nil {
		return nil, err
	}
	return p, b.start(ctx, p, log, filepath.Join(b.bin, "prismd"), args...)
}

// echo starts an echo server of a kind.
func (b *bench) echo(ctx context.Context, kind string) (*process, error) {
	p := &process{data: freePorts(1)[0]}
	return p, b.start(ctx, p, nil, os.Args[0], "echo", kind+"@"+p.data)
}

func (b *bench) start(ctx context.Context, p *process, log *os.File, name string, args ...string) error {
	p.cmd = exec.Command(name, args...)
	p.cmd.Stderr = log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		return err
	}
	b.undo = append(b.undo, p.stop)
	conn, err := grpc.NewClient(p.data, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	_, err = kvv1.NewKeyValueServiceClient(conn).Exists(ctx, &kvv1.ExistsRequest{Namespace: "mem", Key: "x"}, grpc.WaitForReady(true))
	if err != nil && strings.Contains(err.Error(), "connect") {
		return fmt.Errorf("%s did not start: %w", name, err)
	}
	return nil
}

func (p *process) stop() {
	if p.cmd.Process != nil {
		p.cmd.Process.Signal(syscall.SIGTERM)
		done := make(chan struct{})
		go func() { p.cmd.Wait(); close(done) }()
		select {
		case <-done:
		case <-time.After(15 * time.Second):
			p.cmd.Process.Kill()
			<-done
		}
	}
}

// cpuSeconds is the CPU time that the process has used.
func (p *process) cpuSeconds() float64 { return cpuSeconds(p.cmd.Process.Pid) }

func cpuSeconds(pid int) float64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	user, _ := strconv.ParseFloat(fields[11], 64)
	system, _ := strconv.ParseFloat(fields[12], 64)
	return (user + system) / 100 // clock ticks, 100 a second on Linux
}

// rss is the memory that the process holds, in MiB.
func (p *process) rss() float64 { return p.status("VmRSS:") }

func (p *process) status(field string) float64 { return status(p.cmd.Process.Pid, field) }

func status(pid int, field string) float64 {
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if strings.HasPrefix(s.Text(), field) {
			kb, _ := strconv.ParseFloat(strings.Fields(s.Text())[1], 64)
			return kb / 1024
		}
	}
	return 0
}

func freePorts(n int) []string {
	var ports []string
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			fatal(err)
		}
		defer l.Close()
		ports = append(ports, l.Addr().String())
	}
	return ports
}
