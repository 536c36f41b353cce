//go:build linux

package supervise

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/supervise/handover"
)

// The test binary is also every program that the tests supervise, and the
// supervisor that they kill.
const (
	envChild = "PRISM_TEST_CHILD" // which program to be
	envMark  = "PRISM_TEST_MARK"  // inherited by all that a test starts
	envArg   = "PRISM_TEST_ARG"
)

func TestMain(m *testing.M) {
	if code, ran := Reexec(os.Args); ran {
		os.Exit(code)
	}
	if mode := os.Getenv(envChild); mode != "" {
		os.Exit(beChild(mode))
	}
	// Under the race detector every process sleeps a second before it exits.
	if os.Getenv("GORACE") == "" {
		os.Setenv("GORACE", "atexit_sleep_ms=0")
	}
	code := m.Run()
	os.Remove(publicPath())
	os.Exit(code)
}

func beChild(mode string) int {
	arg := os.Getenv(envArg)
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	switch mode {
	case "serve":
		return serveChild(term)
	case "late": // opens the port, answers late
		d, _ := time.ParseDuration(arg)
		time.Sleep(d)
		return serveChild(term)
	case "sleep":
		<-term
		fmt.Println("last words")
		return 0
	case "talk": // says on SIGTERM what it was told to say
		fmt.Println(arg)
		<-term
		return 0
	case "lastwords": // writes much while it ends
		fmt.Println("up")
		<-term
		for i := range 200 {
			if _, err := fmt.Printf("closing %d\n", i); err != nil {
				return 9
			}
		}
		os.WriteFile(arg, []byte("clean"), 0o600)
		return 0
	case "counts": // how often it is told to end, when its end takes a while
		fmt.Println("up")
		<-term
		n := 1
		for end := time.After(300 * time.Millisecond); ; {
			select {
			case <-term:
				n++
				continue
			case <-end:
			}
			break
		}
		os.WriteFile(arg, []byte(strconv.Itoa(n)), 0o600)
		return 0
	case "litter": // leaves dead orphans behind while it lives
		for range 3 {
			again("brief-orphan", true)
		}
		fmt.Println("littered")
		<-term
		return 0
	case "brief-orphan":
		again("brief", true)
		return 0
	case "brief":
		time.Sleep(50 * time.Millisecond)
		return 0
	case "stubborn": // ignores SIGTERM, and so does all it forks
		signal.Ignore(syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
		again("stubborn-orphan", true)
		again("stubborn-kid", false)
		fmt.Println("stubborn")
		select {}
	case "stubborn-kid":
		signal.Ignore(syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
		select {}
	case "stubborn-orphan": // forks once more and leaves: a daemon
		again("stubborn-kid", true)
		return 0
	case "family": // ends well, its grandchildren do not
		again("stubborn-orphan", true)
		again("stubborn-kid", false)
		fmt.Println("family")
		<-term
		return 0
	case "crash":
		n, _ := strconv.Atoi(arg)
		for i := range 30 {
			fmt.Printf("crash line %d\n", i)
		}
		fmt.Print("no newline at the end")
		return n
	case "abort":
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	case "spam":
		n, _ := strconv.Atoi(arg)
		w := bufio.NewWriter(os.Stdout)
		for i := range n {
			fmt.Fprintf(w, "spam line number %d with some text to it\n", i)
		}
		w.Flush()
		fmt.Println("spam is over")
		<-term
		return 0
	case "flood": // short lines and long ones, for as long as it lives
		long := bytes.Repeat([]byte("x"), 1<<20)
		w := bufio.NewWriterSize(os.Stdout, 1<<20)
		for i := 0; ; i++ {
			fmt.Fprintf(w, "flood %d\nand\nmore\n", i)
			if i%64 == 0 {
				w.Write(long)
			}
			w.Write(append(long[:64<<10], '\n'))
			long[64<<10] = 'x'
		}
	case "longline":
		b := make([]byte, 1<<20)
		for i := range b {
			b[i] = 'x'
		}
		os.Stdout.Write(append(b, "end\nafter the long line\n"...))
		<-term
		return 0
	case "nobody": // another user asks the supervisor
		return askAsNobody(arg)
	case "notes": // tells what it does, and says a word between; then works
		for line := range strings.SplitSeq(arg, "|") {
			if text, ok := strings.CutPrefix(line, "note:"); ok {
				Note(os.Stdout, text)
			} else {
				fmt.Println(line)
			}
		}
		<-term
		return 0
	case "build": // as a compiler: arg is SOURCE|PROGRAM|FILE where it counts its runs
		return buildChild(arg)
	case "slowend": // takes its time to end well
		fmt.Println("up")
		<-term
		file, wait, _ := strings.Cut(arg, "|")
		d, _ := time.ParseDuration(wait)
		time.Sleep(d)
		os.WriteFile(file, []byte("clean"), 0o600)
		return 0
	case "env":
		for _, kv := range os.Environ() {
			fmt.Println(kv)
		}
		<-term
		return 0
	case "supervisor":
		return superviseChild(arg)
	case "down":
		return downChild(arg)
	}
	fmt.Fprintln(os.Stderr, "no such child:", mode)
	return 64
}

// buildChild makes a program of its source: a shell script of one that says
// "ok …", an error of any other. "hang" is a build that does not end.
func buildChild(arg string) int {
	source, rest, _ := strings.Cut(arg, "|")
	program, count, _ := strings.Cut(rest, "|")
	f, err := os.OpenFile(count, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return 2
	}
	f.WriteString("x")
	f.Close()
	text, err := os.ReadFile(source)
	if err != nil {
		return 2
	}
	word, more, _ := strings.Cut(strings.TrimSpace(string(text)), " ")
	switch word {
	case "ok":
		time.Sleep(20 * time.Millisecond)
		os.WriteFile(program+".new", []byte("#!/bin/sh\necho version "+more+"\nexec sleep 1000\n"), 0o700)
		os.Rename(program+".new", program)
		return 0
	case "hang":
		again("stubborn-kid", true)
		select {}
	}
	fmt.Printf("# shop\n%s:1:1: syntax error near %s\n", source, word)
	return 1
}

// again starts this program once more.
func again(mode string, session bool) {
	exe, _ := os.Executable()
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), envChild+"="+mode)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: session}
	if err := cmd.Start(); err != nil {
		fmt.Println("fork:", err)
	}
}

// serveChild answers each line with its pid, and drains on SIGTERM: what is
// open is answered, what is in the backlog is left to the next run.
func serveChild(term chan os.Signal) int {
	ls, err := handover.Listeners()
	if err != nil || ls["data"] == nil {
		fmt.Println("no listener:", err)
		return 3
	}
	var wg sync.WaitGroup
	go func() {
		<-term
		ls["data"].Close()
	}()
	for {
		c, err := ls["data"].Accept()
		if err != nil {
			break
		}
		wg.Go(func() {
			defer c.Close()
			c.SetDeadline(time.Now().Add(5 * time.Second))
			if _, err := bufio.NewReader(c).ReadString('\n'); err == nil {
				time.Sleep(2 * time.Millisecond)
				fmt.Fprintf(c, "%d\n", os.Getpid())
			}
		})
	}
	wg.Wait()
	return 0
}

// ask is a client of serveChild.
func ask(addr string, patience time.Duration) (pid int, err error) {
	c, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(c, "who\n"); err != nil {
		return 0, err
	}
	line, err := bufio.NewReader(c).ReadString('\n')
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(line[:len(line)-1])
}

// A script says what a supervisor process of a test is to run.
type script struct {
	Dir      string
	NoCgroup bool
	UID      int // who runs it; 0: we
	GraceMS  int
	Services []scriptService
}

type scriptService struct {
	Name, Mode, Arg string
	Listen          string
	After           []string
	StopMS          int
	ReadyMS         int // the probe's timeout
	EveryMS         int
}

func (s scriptService) spec() Spec {
	exe, _ := os.Executable()
	spec := Spec{
		Name: s.Name, Path: exe, After: s.After, Stop: time.Duration(s.StopMS) * time.Millisecond,
		Env: []string{envChild + "=" + s.Mode, envArg + "=" + s.Arg},
	}
	if s.Listen != "" {
		spec.Listen = []ListenSpec{{Name: "data", Addr: s.Listen, Origin: "prism.yaml:3"}}
		spec.Ready = Probe{
			Name: "an answer on data", Check: answers,
			Timeout: time.Duration(s.ReadyMS) * time.Millisecond, Every: time.Duration(s.EveryMS) * time.Millisecond,
		}
	}
	return spec
}

func answers(ctx context.Context, inst Instance) error {
	pid, err := ask(inst.Addrs["data"], time.Second)
	if err == nil && pid != inst.PID {
		err = fmt.Errorf("pid %d answered", pid)
	}
	return err
}

// superviseChild is a whole supervisor. It says what happens in lines of JSON.
func superviseChild(arg string) int {
	say := json.NewEncoder(os.Stdout)
	var sc script
	if err := json.Unmarshal([]byte(arg), &sc); err != nil {
		return 2
	}
	o := Options{ID: "t", Root: "/somewhere", Dir: sc.Dir, NoCgroup: sc.NoCgroup, Grace: time.Duration(sc.GraceMS) * time.Millisecond}
	for _, s := range sc.Services {
		o.Services = append(o.Services, s.spec())
	}
	s, err := Open(o)
	if err != nil {
		h := (*Held)(nil)
		if errors.As(err, &h) {
			say.Encode(map[string]any{"held": h.PID})
			return 5
		}
		say.Encode(map[string]any{"error": err.Error()})
		return 1
	}
	defer OnSignals(s, nil)()
	go func() {
		if err := s.WaitReady(context.Background()); err != nil {
			say.Encode(map[string]any{"error": err.Error()})
			return
		}
		say.Encode(map[string]any{"ready": os.Getpid(), "addr": s.Addr(sc.Services[0].Name, "data")})
	}()
	if err := s.Run(context.Background()); err != nil {
		say.Encode(map[string]any{"error": err.Error()})
		return 1
	}
	return 0
}

// downChild is `prismctl dev down`.
func downChild(arg string) int {
	var sc script
	if err := json.Unmarshal([]byte(arg), &sc); err != nil {
		return 2
	}
	c, err := Dial(filepath.Join(sc.Dir, "control.sock"))
	if err == nil {
		err = c.Stop(context.Background(), false, nil)
	} else if errors.Is(err, prism.ReasonUnavailable) {
		_, err = Cleanup(Options{ID: "t", Dir: sc.Dir, Grace: time.Duration(sc.GraceMS) * time.Millisecond})
	}
	if err != nil {
		fmt.Println(err)
		return 1
	}
	return 0
}

// askAsNobody drops all rights and calls the control socket.
func askAsNobody(socket string) int {
	const nobody = 65534
	if err := errors.Join(syscall.Setgroups(nil), syscall.Setgid(nobody), syscall.Setuid(nobody)); err != nil {
		fmt.Println("setuid:", err)
		return 2
	}
	// Not through Client, which refuses by itself: the server is on trial.
	c, err := net.Dial("unix", socket)
	if err != nil {
		fmt.Println("dial:", err)
		return 13
	}
	io.WriteString(c, `{"v":1,"op":"stop","kill":true}`+"\n")
	line, _ := bufio.NewReader(c).ReadString('\n')
	fmt.Print(line)
	return 0
}
