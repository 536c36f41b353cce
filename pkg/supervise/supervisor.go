package supervise

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// Options are what a supervisor needs.
type Options struct {
	ID       string        // the project's id, for people and for the cgroup's name
	Root     string        // the project's folder, for people
	Dir      string        // state and lock; its mode becomes 0700
	LogDir   string        // Dir/logs
	Socket   string        // the control socket; Dir/control.sock. At most 107 bytes, in a folder that only we can write
	Services []Spec        // in any order
	Grace    time.Duration // how long the watcher waits between SIGTERM and SIGKILL; 3 s
	Clock    clock.Clock   // the machine's
	NoCgroup bool          // use process groups even where cgroups can be had
}

func (o Options) withDefaults() Options {
	if o.LogDir == "" {
		o.LogDir = filepath.Join(o.Dir, "logs")
	}
	if o.Socket == "" {
		o.Socket = filepath.Join(o.Dir, "control.sock")
	}
	if o.Grace <= 0 {
		o.Grace = 3 * time.Second
	}
	if o.Clock == nil {
		o.Clock = clock.Real()
	}
	return o
}

// A Supervisor runs services. [Open] makes one, [Supervisor.Run] runs it.
type Supervisor struct {
	opts      Options
	clk       clock.Clock
	cgroupID  string
	cgroup    string // folder of the services' cgroups; "" without
	lock      *lock
	watch     *watchLink
	control   *controlServer
	events    fan[Event]
	lines     fan[Line]
	services  []*service // dependencies first
	isolation string

	stop, kill, done    chan struct{}
	stopOnce, killOnce  sync.Once
	closeOnce, adopting sync.Once

	saving   sync.Mutex // one state file at a time, in order
	mu       sync.Mutex // guards all below, and every service's status and process
	since    time.Time
	running  bool
	changed  chan struct{} // closed and replaced at each change
	warnings []string
	saveErr  error
}

// Open makes ready what all services need, or nothing: it takes the folder's
// lock, ends what a killed predecessor left, opens every listening socket, the
// logs and the control socket, and starts the watcher. No service runs yet.
//
// A folder whose supervisor runs is a *[Held]. A taken port is
// FAILED_PRECONDITION with the holder in its text and in its Meta (kind
// port_taken); a planted link is PERMISSION_DENIED.
func Open(o Options) (*Supervisor, error) {
	o = o.withDefaults()
	specs, err := plan(o.Services)
	if err != nil {
		return nil, err
	}
	for _, dir := range []string{o.Dir, o.LogDir} {
		if err := privateDir(dir); err != nil {
			return nil, err
		}
	}
	if _, err := ownDir(filepath.Dir(o.Socket)); err != nil {
		return nil, err
	}
	s := &Supervisor{
		opts: o, clk: o.Clock, cgroupID: cgroupID(o.ID, o.Dir),
		stop: make(chan struct{}), kill: make(chan struct{}), done: make(chan struct{}),
		changed: make(chan struct{}), since: o.Clock.Now(),
	}
	s.lines.weigh = func(l Line) int { return len(l.Text) }
	if s.lock, err = takeLockFromTheDead(o.Dir, o.Grace); err != nil {
		return nil, err
	}
	if err := s.open(specs); err != nil {
		s.shut()
		return nil, err
	}
	return s, nil
}

// open does what Open promises, under the lock.
func (s *Supervisor) open(specs []Spec) error {
	if err := s.lock.sign(myself("supervisor")); err != nil {
		s.warn("the lock does not say who has it: " + err.Error())
	}
	if err := s.succeed(); err != nil {
		return err
	}
	sockets, err := openSockets(specs)
	if err != nil {
		return err
	}
	// From here on the services own the sockets, and shut closes them.
	for _, spec := range specs {
		s.services = append(s.services, newService(s, spec, sockets[spec.Name]))
	}
	s.link()
	for _, svc := range s.services {
		if svc.logs, err = openLog(s.opts.LogDir, svc.spec.Name, s.clk, &s.lines, nil, svc.listener()); err != nil {
			return err
		}
	}
	s.isolate()
	if s.control, err = listenControl(s); err != nil {
		return err
	}
	if err := s.startWatcher(); err != nil {
		return err
	}
	s.save()
	return nil
}

// cgroupID is unique per folder and harmless as a file name.
func cgroupID(id, dir string) string {
	sum := sha256.Sum256([]byte(realDir(dir)))
	clean := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' {
			return r
		}
		return '_'
	}, id)
	if len(clean) > 40 {
		clean = clean[:40]
	}
	return clean + "-" + hex.EncodeToString(sum[:6])
}

func realDir(dir string) string {
	if r, err := filepath.EvalSymlinks(dir); err == nil {
		dir = r
	}
	if a, err := filepath.Abs(dir); err == nil {
		dir = a
	}
	return dir
}

// link connects the services with their dependencies.
func (s *Supervisor) link() {
	for _, svc := range s.services {
		for _, name := range svc.spec.After {
			dep := s.service(name)
			svc.after = append(svc.after, dep)
			dep.before = append(dep.before, svc)
			dep.st.Dependants = append(dep.st.Dependants, svc.spec.Name)
		}
	}
}

func (s *Supervisor) startWatcher() error {
	if !hasWatcher {
		return nil
	}
	w := &watchLink{
		lock: s.lock.f, logDir: s.opts.LogDir, procs: map[string]Process{},
		hello: note{Logs: &watchLogs{Dir: s.opts.LogDir}, Grace: s.opts.Grace, Cgroup: s.cgroup, Files: []string{s.opts.Socket}},
		lost: func(err error) {
			s.warn(fmt.Sprintf("the watcher process ended (%v); another one was started", err))
			s.save()
		},
	}
	for _, svc := range s.services {
		w.hello.Logs.Names = append(w.hello.Logs.Names, svc.spec.Name)
		if svc.spec.Notes {
			w.hello.Logs.Notes = append(w.hello.Logs.Notes, svc.spec.Name)
		}
		pipe, err := shareable(svc.logs.r)
		if err != nil {
			closeAll(w.pipes)
			return err
		}
		w.pipes = append(w.pipes, pipe)
	}
	s.mu.Lock() // the control socket answers already
	s.watch = w
	s.mu.Unlock()
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.start()
}

// Run starts the services and returns when all have stopped: because ctx
// ended or [Supervisor.Stop] was called, in reverse order of dependency, or at
// once by [Supervisor.Kill]. The supervisor is closed then. The error names
// processes that survive; it is nil for every ordinary end.
func (s *Supervisor) Run(ctx context.Context) error {
	s.mu.Lock()
	s.running = true
	s.mu.Unlock()
	for _, svc := range s.services {
		go svc.run()
		if svc.spec.Watch != nil {
			go svc.rebuild()
		} else {
			close(svc.watched)
		}
	}
	select {
	case <-ctx.Done():
		s.Stop()
	case <-s.stop:
	}
	for _, svc := range s.services {
		go svc.stopInOrder()
	}
	var left []string
	for _, svc := range s.services {
		<-svc.done
		<-svc.watched
		for _, pid := range svc.left {
			left = append(left, fmt.Sprintf("%s: pid %d", svc.spec.Name, pid))
		}
	}
	s.mu.Lock()
	s.running = false
	s.mu.Unlock()
	s.shut()
	if len(left) > 0 {
		return prism.New(prism.ReasonFailedPrecond, "these survive SIGKILL: %s", strings.Join(left, ", "))
	}
	return nil
}

// Stop begins a graceful end. Run returns when it is over.
func (s *Supervisor) Stop() { s.stopOnce.Do(func() { close(s.stop) }) }

// Kill ends everything now: the second Ctrl-C.
func (s *Supervisor) Kill() {
	s.killOnce.Do(func() { close(s.kill) })
	s.Stop()
}

// Close gives back what Open took, for a supervisor that was never run.
func (s *Supervisor) Close() {
	s.Stop()
	s.mu.Lock()
	running := s.running
	s.mu.Unlock()
	if !running {
		s.shut()
	}
}

// shut closes everything in the order in which nobody can meet half of it: the
// ports, the state, the control socket, the watcher, and the lock at last.
func (s *Supervisor) shut() {
	s.closeOnce.Do(func() {
		for _, svc := range s.services {
			svc.close()
		}
		if s.cgroup != "" {
			(&Process{Cgroup: s.cgroup}).forget()
		}
		if s.watch != nil {
			s.save()
		}
		s.events.close()
		s.lines.close()
		if s.control != nil {
			s.control.stopListening()
		}
		if s.watch != nil {
			s.watch.close()
		}
		s.lock.release()
		close(s.done)
		if s.control != nil {
			s.control.wait()
		}
	})
}

func (s *Supervisor) service(name string) *service {
	for _, svc := range s.services {
		if svc.spec.Name == name {
			return svc
		}
	}
	return nil
}

// Addr is the address of a service's socket, with the real port; "" if there
// is none of that name.
func (s *Supervisor) Addr(service, socket string) string {
	if svc := s.service(service); svc != nil {
		return svc.addrs[socket]
	}
	return ""
}

// warn notes something that a person should know and that stops nothing.
func (s *Supervisor) warn(text string) {
	s.mu.Lock()
	s.warnings = append(s.warnings, text)
	if len(s.warnings) > 20 {
		s.warnings = s.warnings[1:]
	}
	s.mu.Unlock()
	s.events.send(Event{Time: s.clk.Now(), Message: text}, nil)
}

// save writes the state file. That it cannot be written is a warning: the
// watcher and the cgroups know what runs.
func (s *Supervisor) save() {
	s.saving.Lock()
	defer s.saving.Unlock()
	st := s.snapshot()
	// Not under mu: a slow disk must not keep anyone from the status.
	err := writeState(s.opts.Dir, &st)
	s.mu.Lock()
	s.saveErr = err
	s.mu.Unlock()
}

func (s *Supervisor) snapshot() state {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := state{
		Format: stateFormat, ID: s.opts.ID, Saved: s.clk.Now(),
		Supervisor: myself("supervisor"), Socket: s.opts.Socket, Status: s.status(),
	}
	if pid := st.Status.Watcher; pid != 0 {
		st.Watcher = Process{Name: "watcher", PID: pid, Exe: st.Supervisor.Exe}
		st.Watcher.Start, _ = startTime(pid)
	}
	for _, svc := range s.services {
		for _, p := range []Process{svc.proc, svc.building} {
			if p.PID != 0 {
				st.Processes = append(st.Processes, p)
			}
		}
	}
	return st
}
