package supervise

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/prism-data-layer/prism/pkg/clock"
)

// A service is one spec and what became of it. Its goroutine is run; everyone
// else reads its status under the supervisor's lock and sends it wishes.
type service struct {
	sup   *Supervisor
	clk   clock.Clock
	spec  Spec
	files []*os.File
	addrs map[string]string
	logs  *logBook

	after, before []*service // what it needs, and what needs it

	again chan struct{} // a restart is wished for
	stop  chan struct{} // it shall end: what needs it is gone
	done  chan struct{} // it has

	watched chan struct{} // its sources are watched no more

	left []int // what survived; read after done

	// Under sup.mu.
	st       ServiceStatus
	proc     Process
	building Process // its build
	starts   int
	firstAt  time.Time // of the first start
	why      string    // what we say of its state
	said     string    // the last note of this run
	built    string    // what its build says
	telling  bool      // an event of a note is due
	toldAt   time.Time // the last one
}

func newService(sup *Supervisor, spec Spec, sockets []socket) *service {
	s := &service{
		sup: sup, clk: sup.clk, spec: spec, addrs: map[string]string{},
		again: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{}), watched: make(chan struct{}),
	}
	for i, sock := range sockets {
		if sock.file != nil {
			s.files = append(s.files, sock.file)
		}
		s.addrs[spec.Listen[i].Name] = sock.addr
	}
	s.st = ServiceStatus{Name: spec.Name, State: Stopped, Since: sup.clk.Now(), Listen: s.addrs, After: spec.After}
	return s
}

// close gives back the sockets and the log.
func (s *service) close() {
	closeAll(s.files)
	if s.logs != nil {
		s.logs.close()
	}
}

// set changes the state and tells everyone.
func (s *service) set(state State, message string, change func(*ServiceStatus)) {
	s.sup.mu.Lock()
	now := s.clk.Now()
	if s.st.State != state {
		s.st.State, s.st.Since = state, now
	}
	s.why = message
	if change != nil {
		change(&s.st)
	}
	s.compose()
	e := Event{Time: now, Service: s.spec.Name, State: state, PID: s.st.PID, Message: s.st.Message}
	close(s.sup.changed)
	s.sup.changed = make(chan struct{})
	s.sup.mu.Unlock()
	s.sup.events.send(e, nil)
	s.sup.save()
}

// hopeless reports whether waiting for the service makes no sense. sup.mu is held.
func (s *service) hopeless() bool {
	if s.st.State == CrashLoop || s.st.State == Degraded || s.st.Late || s.failed() {
		return true
	}
	for _, dep := range s.after {
		if !dep.st.State.Up() && dep.hopeless() && s.st.PID == 0 {
			return true
		}
	}
	return false
}

// failed reports whether it is a task that nobody starts again by itself.
// sup.mu is held.
func (s *service) failed() bool { return s.spec.Task && s.st.State == Crashed }

// How one life of the child ended.
type ending int

const (
	endedByItself ending = iota
	endedForRestart
	endedForGood
)

// run keeps the service alive until it shall end.
func (s *service) run() {
	defer close(s.done)
	defer s.sup.save()
	row := &restarts{Policy: s.spec.Policy, jitter: rand.Float64}
	for {
		if !s.waitForDependencies() {
			s.set(Stopped, "", nil)
			return
		}
		row.started()
		began := s.clk.Now()
		how, exit := s.live()
		if len(s.left) > 0 {
			s.set(Stopped, fmt.Sprintf("processes survive SIGKILL: %v", s.left), nil)
			return
		}
		switch how {
		case endedForGood:
			s.set(Stopped, exit.String(), nil)
			return
		case endedForRestart:
			row.forget()
			continue
		}
		if !s.pause(exit, s.clk.Now().Sub(began), row) {
			s.set(Stopped, exit.String(), nil)
			return
		}
	}
}

// pause waits for the next start after a run that ended by itself; false:
// there is none.
func (s *service) pause(exit Exit, lived time.Duration, row *restarts) bool {
	var timer <-chan time.Time
	if s.spec.Task {
		s.finish(exit)
	} else if wait, loop := row.crashed(lived); loop {
		s.set(CrashLoop, fmt.Sprintf("%s; %d starts in a row failed, so no more are tried", exit, row.inARow), nil)
	} else {
		s.set(Crashed, fmt.Sprintf("%s; starts again in %s", exit, wait.Round(10*time.Millisecond)), func(st *ServiceStatus) {
			st.Late = st.ReadyMS == 0 && s.clk.Now().Sub(s.firstAt) >= s.spec.Ready.Timeout
		})
		t := s.clk.NewTimer(wait)
		defer t.Stop()
		timer = t.C
	}
	select {
	case <-timer:
		s.sup.mu.Lock()
		s.st.Restarts++
		s.sup.mu.Unlock()
		return true
	case <-s.again:
		row.forget()
		return true
	case <-s.stop:
		return false
	}
}

// finish is the end of a task: it did what it was for, or it failed.
func (s *service) finish(exit Exit) {
	if exit.Code == 0 && exit.Error == "" {
		s.set(Done, "", func(st *ServiceStatus) { st.Late = false })
		return
	}
	s.set(Crashed, exit.String(), nil)
}

// waitForDependencies gates the start; false: it shall end instead.
func (s *service) waitForDependencies() bool {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		select {
		case <-s.stop:
			cancel()
		case <-ctx.Done():
		}
	}()
	waiting := func() (names []string) {
		for _, dep := range s.after {
			if !dep.st.State.Up() {
				names = append(names, dep.spec.Name)
			}
		}
		return names
	}
	s.sup.mu.Lock()
	names := waiting()
	s.sup.mu.Unlock()
	if len(names) > 0 {
		s.set(Starting, "waits for "+strings.Join(names, ", "), nil)
	}
	if s.sup.await(ctx, func() bool { return len(waiting()) == 0 }) != nil {
		return false
	}
	select {
	case <-s.stop:
		return false
	default:
		return true
	}
}

// live is one life of the child, from its start to its last descendant's end.
func (s *service) live() (ending, Exit) {
	s.sup.mu.Lock()
	select {
	case <-s.again: // the start that was wished for is this one
	default:
	}
	s.starts++
	s.said = ""
	if s.st.State != Starting {
		s.st.State, s.st.Since = Starting, s.clk.Now()
	}
	if s.firstAt.IsZero() {
		s.firstAt = s.clk.Now()
	}
	s.sup.mu.Unlock()
	c, err := s.spawn()
	if err != nil {
		exit := Exit{Code: 127, Error: err.Error(), At: s.clk.Now()}
		s.noteExit(exit)
		return endedByItself, exit
	}
	exited := make(chan outcome, 1)
	go func() { exited <- s.reap(c) }()

	ctx, cancel := context.WithCancel(context.Background())
	probed := make(chan struct{})
	go func() {
		defer close(probed)
		s.probe(ctx, Instance{Name: s.spec.Name, PID: c.PID, Addrs: s.addrs})
	}()
	how := endedByItself
	var out outcome
	select {
	case out = <-exited:
		cancel()
		<-probed
	case <-s.again:
		how = endedForRestart
		cancel()
		<-probed
		out = s.terminate(c, exited, "restarting")
	case <-s.stop:
		how = endedForGood
		cancel()
		<-probed
		out = s.terminate(c, exited, "")
	}
	s.left = out.left
	s.noteExit(out.Exit)
	return how, out.Exit
}

// spawn starts the child, puts it on record everywhere, and lets it run.
func (s *service) spawn() (*child, error) {
	if s.spec.Before != nil {
		if err := s.spec.Before(); err != nil {
			return nil, err
		}
	}
	c, err := s.fork(s.spec, s.files, s.logs.w)
	if err != nil {
		return nil, err
	}
	s.logs.begin(c.PID)
	s.record(&s.proc, c.Process)
	s.set(Starting, "", func(st *ServiceStatus) { st.PID, st.ReadyMS = c.PID, 0 })
	c.release()
	return c, nil
}

// fork starts a program in a cgroup of its own, or without one.
func (s *service) fork(spec Spec, files []*os.File, out *os.File) (*child, error) {
	cgroup := ""
	if s.sup.cgroup != "" {
		cgroup = filepath.Join(s.sup.cgroup, spec.Name)
		if err := os.Mkdir(cgroup, 0o755); err != nil && !os.IsExist(err) {
			cgroup = ""
		}
	}
	c, err := spawn(s.sup.cgroupID, spec, files, out, cgroup)
	if err != nil && cgroup != "" {
		// Moving into the cgroup may be forbidden where making it is not.
		s.sup.adoptOrphans()
		c, err = spawn(s.sup.cgroupID, spec, files, out, "")
	}
	return c, err
}

// record notes what runs now, or that nothing does, for us and for the watcher.
func (s *service) record(at *Process, p Process) {
	s.sup.mu.Lock()
	*at = p
	s.sup.mu.Unlock()
	switch {
	case s.sup.watch == nil:
	case p.PID != 0:
		s.sup.watch.started(p)
	default:
		s.sup.watch.ended(p.Name)
	}
}

// reap waits for the child and reads its last words.
func (s *service) reap(c *child) outcome {
	exit, left := c.collect()
	exit.At = s.clk.Now()
	if len(left) == 0 {
		s.logs.finish()
		c.forget()
	}
	return outcome{exit, left}
}

// collect waits for the child and ends what it leaves behind. While the child
// is a zombie its pid and group are nobody else's.
func (c *child) collect() (exit Exit, left []int) {
	c.awaitExit()
	orphans := c.members()
	left = c.killTree(killBound)
	c.cmd.Wait()
	if c.Cgroup == "" {
		reapOrphans(orphans)
	}
	return exitOf(c.cmd.ProcessState), left
}

// An outcome is the end of a run, with the pids that survive it.
type outcome struct {
	Exit
	left []int
}

func (s *service) noteExit(exit Exit) {
	if len(s.left) == 0 {
		s.record(&s.proc, Process{Name: s.spec.Name})
	}
	s.sup.mu.Lock()
	defer s.sup.mu.Unlock()
	s.st.PID, s.st.Exit = 0, &exit
}

// terminate asks the child to end, and kills the tree when it does not, or at
// once when the whole supervisor is in a hurry.
func (s *service) terminate(c *child, exited <-chan outcome, why string) outcome {
	s.set(Stopping, why, nil)
	if !s.hurried() {
		c.askToStop()
		over := make(chan struct{})
		defer close(over)
		late := make(chan struct{})
		go func() {
			if s.sleep(s.spec.Stop, over) {
				close(late)
			}
		}()
		select {
		case out := <-exited:
			return out
		case <-s.sup.kill:
		case <-late:
			s.set(Stopping, fmt.Sprintf("did not stop within %s and is killed", s.spec.Stop), nil)
		}
	}
	left := c.killTree(killBound)
	select {
	case out := <-exited:
		return out
	case <-time.After(killBound): // it hangs in the kernel
		return outcome{Exit{Code: -1, Error: "did not die", At: s.clk.Now()}, append(left, c.PID)}
	}
}

func (s *service) hurried() bool {
	select {
	case <-s.sup.kill:
		return true
	default:
		return false
	}
}

// stopInOrder lets the service end once nothing needs it any more.
func (s *service) stopInOrder() {
	for _, dependant := range s.before {
		<-dependant.done
	}
	close(s.stop)
}

// askToStop sends SIGTERM to the program itself; what it forked is its affair
// until it has ended.
func (c *child) askToStop() {
	if err := terminateProcess(c.cmd.Process); err != nil {
		c.cmd.Process.Kill()
	}
}

func exitOf(ps *os.ProcessState) Exit {
	if ps == nil {
		return Exit{Code: -1}
	}
	if ws, ok := ps.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return Exit{Code: 128 + int(ws.Signal()), Signal: signalName(ws.Signal())}
	}
	return Exit{Code: ps.ExitCode()}
}
