package supervise

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/prism-data-layer/prism/pkg/clock"
)

// A note is what the supervisor tells its watcher, one JSON line each. The end
// of the pipe without a Done says that the supervisor died.
type note struct {
	Logs   *watchLogs    `json:"logs,omitempty"`   // first: which logs the inherited pipes belong to
	Grace  time.Duration `json:"grace,omitempty"`  // with Logs: from SIGTERM to SIGKILL
	Start  *Process      `json:"start,omitempty"`  // this one is about to run
	Gone   string        `json:"gone,omitempty"`   // the service of this name has nothing left
	Files  []string      `json:"files,omitempty"`  // sockets to remove at the end
	Cgroup string        `json:"cgroup,omitempty"` // the folder of the services' cgroups
	Done   bool          `json:"done,omitempty"`   // all is well: leave
}

type watchLogs struct {
	Dir   string   `json:"dir"`
	Names []string `json:"names"`           // of the descriptors from watchFD on
	Notes []string `json:"notes,omitempty"` // of them, those that may send notes
}

// watchLockFD is the supervisor's lock in the watcher: while the watcher cleans
// up, nobody can take the lock and meet half a corpse. watchFD is the first of
// the log pipes: with a reader left, the last words of a service do not kill it
// with SIGPIPE in the middle of a clean end.
const (
	watchLockFD = 3
	watchFD     = 4
)

// runWatcher is the watcher's whole life. It is deaf to the signals that end
// its supervisor.
func runWatcher(in io.Reader, out io.Writer) int {
	signal.Ignore(syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT)
	w := watcher{procs: map[string]Process{}, out: out}
	sc := bufio.NewScanner(in)
	sc.Buffer(nil, 1<<20)
	for sc.Scan() {
		var n note
		if err := json.Unmarshal(sc.Bytes(), &n); err != nil {
			continue // the last line of a supervisor killed while it wrote
		}
		if n.Done {
			return 0
		}
		w.note(n)
	}
	return w.cleanUp()
}

type watcher struct {
	out    io.Writer
	logs   watchLogs
	grace  time.Duration
	procs  map[string]Process
	files  []string
	cgroup string
}

func (w *watcher) note(n note) {
	if n.Logs != nil {
		w.logs, w.grace = *n.Logs, n.Grace
	}
	if n.Start != nil {
		w.procs[n.Start.Name] = *n.Start
	}
	if n.Gone != "" {
		delete(w.procs, n.Gone)
	}
	if n.Cgroup != "" {
		w.cgroup = n.Cgroup
	}
	w.files = append(w.files, n.Files...)
}

// cleanUp ends every service, all at once: nobody is left to care for order.
func (w *watcher) cleanUp() int {
	fmt.Fprintf(w.out, "%s the supervisor is gone: ending %d services\n", time.Now().UTC().Format(stamp), len(w.procs))
	var books []*logBook
	for i, name := range w.logs.Names {
		pipe := os.NewFile(watchFD+uintptr(i), name)
		if pipe == nil {
			continue
		}
		var note func(string)
		if slices.Contains(w.logs.Notes, name) {
			note = func(string) {} // nobody is there to be told
		}
		if b, err := openLog(w.logs.Dir, name, clock.Real(), nil, pipe, note); err == nil {
			b.begin(w.procs[name].PID)
			books = append(books, b)
		}
	}
	var mu sync.Mutex
	var left []int
	var wg sync.WaitGroup
	for _, p := range w.procs {
		wg.Go(func() {
			alive := p.End(p.grace(w.grace))
			mu.Lock()
			left = append(left, alive...)
			mu.Unlock()
			p.forget()
		})
	}
	wg.Wait()
	if w.cgroup != "" {
		all := Process{Cgroup: w.cgroup}
		left = append(left, all.killTree(killBound)...)
		all.forget()
	}
	for _, f := range w.files {
		if fi, err := os.Lstat(f); err == nil && fi.Mode()&os.ModeSocket != 0 {
			os.Remove(f)
		}
	}
	for _, b := range books {
		// Every writer is dead, so the pipe ends by itself.
		select {
		case <-b.done:
		case <-time.After(time.Second):
		}
	}
	slices.Sort(left)
	if len(left) > 0 {
		fmt.Fprintf(w.out, "%s these survive SIGKILL: %v\n", time.Now().UTC().Format(stamp), left)
		return 1
	}
	(&lock{os.NewFile(watchLockFD, "lock")}).release()
	return 0
}
