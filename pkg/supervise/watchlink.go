package supervise

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"
)

// A watchLink is the supervisor's side of its watcher: it tells it what runs,
// and starts another when it dies.
type watchLink struct {
	lock   *os.File
	pipes  []*os.File
	hello  note
	logDir string
	lost   func(err error) // told when a watcher died

	mu      sync.Mutex
	cmd     *exec.Cmd
	pipe    *os.File
	procs   map[string]Process
	closing bool
	gone    chan struct{} // closed when the present watcher has exited
}

// start starts a watcher and tells it all that is known. w.mu is held, or
// nobody else knows w yet.
func (w *watchLink) start() error {
	self, err := selfPath()
	if err != nil {
		return err
	}
	r, pipe, err := os.Pipe()
	if err != nil {
		return err
	}
	defer r.Close()
	log, err := openRegular(filepath.Join(w.logDir, "watcher.out"), os.O_WRONLY|os.O_APPEND|os.O_CREATE)
	if err != nil {
		pipe.Close()
		return err
	}
	defer log.Close()
	cmd := exec.Command(self)
	// Its name differs from ours, so that `killall -9 prismctl` misses it.
	cmd.Args = []string{"prism-watch", argWatch}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = r, log, log
	cmd.Dir = "/"
	cmd.ExtraFiles = append([]*os.File{w.lock}, w.pipes...)
	detachFromTerminal(cmd)
	if err := cmd.Start(); err != nil {
		pipe.Close()
		return err
	}
	w.cmd, w.pipe, w.gone = cmd, pipe, make(chan struct{})
	gone := w.gone
	go func() {
		err := cmd.Wait()
		close(gone)
		w.died(cmd, err)
	}()
	w.tell(w.hello)
	for _, p := range w.procs {
		w.tell(note{Start: &p})
	}
	return nil
}

// died replaces a watcher that ended although it should not.
func (w *watchLink) died(cmd *exec.Cmd, err error) {
	time.Sleep(100 * time.Millisecond) // should it die at once each time, then slowly
	w.mu.Lock()
	if w.closing || w.cmd != cmd {
		w.mu.Unlock()
		return
	}
	w.pipe.Close()
	again := w.start()
	w.mu.Unlock()
	if again != nil {
		err = again
	}
	w.lost(err)
}

func (w *watchLink) tell(n note) {
	b, err := json.Marshal(n)
	if err != nil || w.pipe == nil {
		return
	}
	// A watcher that was stopped must not stop us.
	w.pipe.SetWriteDeadline(time.Now().Add(time.Second))
	w.pipe.Write(append(b, '\n'))
}

// started and ended keep the watcher informed.
func (w *watchLink) started(p Process) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.procs[p.Name] = p
	w.tell(note{Start: &p})
}

func (w *watchLink) ended(name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.procs, name)
	w.tell(note{Gone: name})
}

func (w *watchLink) pid() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.cmd == nil {
		return 0
	}
	return w.cmd.Process.Pid
}

// close lets the watcher go in peace and waits until it has.
func (w *watchLink) close() {
	w.mu.Lock()
	w.closing = true
	w.tell(note{Done: true})
	if w.pipe != nil {
		w.pipe.Close()
	}
	cmd, gone := w.cmd, w.gone
	closeAll(w.pipes)
	w.mu.Unlock()
	if cmd == nil {
		return
	}
	select {
	case <-gone:
	case <-time.After(3 * time.Second):
		cmd.Process.Kill()
		<-gone
	}
}
