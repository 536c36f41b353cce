package supervise

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/prism-data-layer/prism/pkg/prism"
)

// A Rebuild makes a service's program anew when its sources change. Only a
// build that succeeds touches the service: it is started again on the same
// sockets. One that fails is told, and what runs goes on.
type Rebuild struct {
	Paths   []string      // files and folders, relative to Dir
	Ignore  []string      // patterns of path.Match for a name or a path below one of Paths; hidden names and the service's program are left out anyway
	Command []string      // what builds
	Dir     string        // where it runs; "" is the supervisor's
	Quiet   time.Duration // for so long nothing may change before it runs; 200 ms
}

const defaultQuiet = 200 * time.Millisecond

// check fills what the caller left open and finds the program.
func (r *Rebuild) check(field string, bad *prism.Error) *Rebuild {
	if r == nil {
		return nil
	}
	c := *r
	if c.Quiet <= 0 {
		c.Quiet = defaultQuiet
	}
	if len(c.Paths) == 0 || len(c.Command) == 0 {
		bad.WithField(field, "needs paths to watch and a command that builds")
		return &c
	}
	if err := checkPatterns(c.Ignore); err != nil {
		bad.WithField(field+".ignore", err.Error())
	}
	path, err := exec.LookPath(c.Command[0])
	if err != nil {
		bad.WithField(field+".command", err.Error())
		return &c
	}
	c.Command = append([]string{path}, c.Command[1:]...)
	return &c
}

// rebuild watches and builds until the supervisor stops.
func (s *service) rebuild() {
	defer close(s.watched)
	r := s.spec.Watch
	tree := newTree(r, s.spec.Path)
	seen, cost := tree.look()
	for s.rest(pollPause(cost)) {
		now := seen
		if now, cost = tree.look(); now == seen {
			continue
		}
		// A change during a build starts another.
		for now != seen {
			var ok bool
			if seen, ok = s.settled(tree, now); !ok {
				return
			}
			if tree.cut {
				s.sup.warn(fmt.Sprintf("of the sources of %s only %d files are watched", s.spec.Name, maxWatched))
				tree.cut = false
			}
			if s.build(); s.stopping() {
				return
			}
			now, cost = tree.look()
		}
	}
}

// settled waits until nothing changes for a while.
func (s *service) settled(tree *tree, now uint64) (uint64, bool) {
	for {
		if !s.rest(s.spec.Watch.Quiet) {
			return now, false
		}
		next, _ := tree.look()
		if next == now {
			return now, true
		}
		now = next
	}
}

// rest waits; false: the supervisor stops.
func (s *service) rest(d time.Duration) bool {
	t := s.clk.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-s.sup.stop:
		return false
	}
}

func (s *service) stopping() bool {
	select {
	case <-s.sup.stop:
		return true
	default:
		return false
	}
}

// build runs the command once, in a tree of its own as every child, and does
// what its end asks for.
func (s *service) build() {
	r := s.spec.Watch
	began := s.clk.Now()
	s.tellBuild("builds: "+oneLine(strings.Join(r.Command, " ")), "")
	exit, words := s.runBuild(Spec{Name: s.spec.Name + ".build", Path: r.Command[0], Args: r.Command[1:], Dir: r.Dir})
	switch {
	case s.stopping():
		s.tellBuild("", "")
	case exit.Code != 0 || exit.Error != "":
		s.tellBuild(oneLine(fmt.Sprintf("the build failed, %s: %s", exit, strings.Join(words, "; "))), "")
	default:
		s.tellBuild("", fmt.Sprintf("built in %s", s.clk.Now().Sub(began).Round(time.Millisecond)))
		s.sup.mu.Lock()
		s.startAgain()
		s.sup.mu.Unlock()
	}
}

// tellBuild keeps what there is to say of the build, and tells everyone that or
// something else once.
func (s *service) tellBuild(keep, once string) {
	s.sup.mu.Lock()
	s.built = keep
	s.compose()
	e := Event{Time: s.clk.Now(), Service: s.spec.Name, State: s.st.State, PID: s.st.PID, Message: s.st.Message}
	s.sup.mu.Unlock()
	if once != "" {
		e.Message = once
	}
	s.sup.events.send(e, nil)
	s.sup.save()
}

// runBuild runs a build to its end, or ends it when the supervisor stops. What
// it prints goes into the service's log; the first lines come back.
func (s *service) runBuild(spec Spec) (Exit, []string) {
	r, w, err := os.Pipe()
	if err != nil {
		return Exit{Code: 127, Error: err.Error()}, nil
	}
	defer r.Close()
	c, err := s.fork(spec, nil, w)
	w.Close()
	if err != nil {
		return Exit{Code: 127, Error: err.Error()}, nil
	}
	s.record(&s.building, c.Process)
	s.sup.save()
	c.release()
	words := make(chan []string, 1)
	go func() { words <- s.copyWords(r) }()
	over := make(chan struct{})
	go func() {
		select {
		case <-s.sup.stop:
			c.killTree(killBound)
		case <-over:
		}
	}()
	exit, left := c.collect()
	close(over)
	if len(left) == 0 {
		c.forget()
		s.record(&s.building, Process{Name: spec.Name})
	}
	return exit, <-words
}

// Of a build's output so much is told at once; all of it is in the log.
const maxBuildWords = 5

func (s *service) copyWords(r *os.File) (first []string) {
	in := bufio.NewReaderSize(r, 4<<10)
	for {
		line, err := in.ReadString('\n')
		if line = oneLine(line); line != "" {
			fmt.Fprintf(s.logs.w, "%s\n", line)
			if len(first) < maxBuildWords {
				first = append(first, line)
			}
		}
		if err != nil {
			return first
		}
	}
}
