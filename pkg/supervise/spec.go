package supervise

import (
	"context"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/prism-data-layer/prism/pkg/prism"
)

// A Spec is one service: a program to keep running.
type Spec struct {
	Name string   // a prism name: [a-z][a-z0-9-]{0,62}
	Path string   // the program; found on PATH if it has no slash
	Args []string // without the program's own name
	Env  []string // added to the supervisor's environment, KEY=value
	Dir  string   // working folder; "" is the supervisor's

	Listen []ListenSpec  // where the program listens
	After  []string      // services that must be ready before this one starts
	Before func() error  // called before each start, when nothing of the service runs; an error is a start that failed
	Ready  Probe         // what "ready" means
	Stop   time.Duration // from SIGTERM to SIGKILL; 10 s. One that is given holds after the supervisor's death too, if it is longer than Options.Grace
	Policy Policy        // what happens when it crashes
	Task   bool          // it ends by itself: exit code 0 is Done, any other it is Crashed until Restart or Repair. Ready.Timeout is for its end, no probe asks
	Notes  bool          // lines of its output that begin with NotePrefix are notes; see [Note]
	Watch  *Rebuild      // what makes its program anew

	asked time.Duration // Stop as it was given
}

// A ListenSpec is a TCP socket that the supervisor opens and the child serves,
// or an address that the supervisor finds free and the child opens.
type ListenSpec struct {
	Name   string // how the child knows it: "data"
	Addr   string // "127.0.0.1:8980"; port 0 picks one
	Origin string // where it was configured, for messages: "prism.yaml:3", "--port-offset"
	Own    bool   // the child opens it: it takes no socket from others
}

// A Probe is our own question to a service, not its word for it.
type Probe struct {
	Name    string                                // for messages: "a write read back on 127.0.0.1:8980"
	Check   func(context.Context, Instance) error // nil: ready as soon as it runs
	Timeout time.Duration                         // how long a start may take until it is called degraded; 30 s
	Every   time.Duration                         // pause between checks once ready; 5 s
}

// An Instance is one run of a service, as a probe sees it.
type Instance struct {
	Name  string
	PID   int
	Addrs map[string]string // the listening addresses by name, real ports
}

// A Policy says when a crashed service starts again. The wait doubles from Min
// to Max, shortened by up to a fifth so that services do not march in step.
type Policy struct {
	Min       time.Duration // 100 ms
	Max       time.Duration // 30 s
	MaxStarts int           // 10: starts in a row of which none stayed up for Steady, then the verdict is a crash loop
	Steady    time.Duration // 1 min
}

// With the defaults the tenth start comes 41 to 51 s after the first.
const (
	defaultStop         = 10 * time.Second
	defaultReadyTimeout = 30 * time.Second
	defaultReadyEvery   = 5 * time.Second
)

// withDefaults fills what the caller left open.
func (s Spec) withDefaults() Spec {
	or := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	s.asked = s.Stop
	or(&s.Stop, defaultStop)
	or(&s.Ready.Timeout, defaultReadyTimeout)
	or(&s.Ready.Every, defaultReadyEvery)
	or(&s.Policy.Min, 100*time.Millisecond)
	or(&s.Policy.Max, 30*time.Second)
	or(&s.Policy.Steady, time.Minute)
	if s.Policy.MaxStarts <= 0 {
		s.Policy.MaxStarts = 10
	}
	if s.Ready.Name == "" {
		s.Ready.Name = "readiness probe"
	}
	return s
}

// plan checks the specs together and returns them in start order, defaults
// filled and programs found. Every fault of every spec is in the error.
func plan(specs []Spec) ([]Spec, error) {
	bad := prism.New(prism.ReasonInvalidConfig, "the services cannot be started as they are described")
	byName := make(map[string]Spec, len(specs))
	addrs := map[string]string{}
	for i := range specs {
		s := specs[i].withDefaults()
		field := "services[" + s.Name + "]"
		if !prism.ValidName(s.Name) {
			bad.WithField(field, "name must match [a-z][a-z0-9-]{0,62}")
		}
		if _, ok := byName[s.Name]; ok {
			bad.WithField(field, "is there twice")
		}
		if path, err := exec.LookPath(s.Path); err != nil {
			bad.WithField(field+".path", err.Error())
		} else {
			s.Path = path
		}
		if s.Task && s.Ready.Check != nil {
			bad.WithField(field+".ready", "a task is done when it ends: no probe can ask it")
		}
		s.Watch = s.Watch.check(field+".watch", bad)
		sockets := map[string]bool{}
		for _, l := range s.Listen {
			if l.Name == "" || strings.ContainsAny(l.Name, ":\x00\n") || sockets[l.Name] {
				bad.WithField(field+".listen", "socket names must be unique, not empty and without colon")
			}
			sockets[l.Name] = true
			if other, ok := addrs[l.Addr]; ok && !strings.HasSuffix(l.Addr, ":0") {
				bad.WithField(field+".listen", "address "+l.Addr+" is given to "+other+" too")
			}
			addrs[l.Addr] = s.Name + "." + l.Name
		}
		byName[s.Name] = s
	}
	for _, s := range specs {
		for _, dep := range s.After {
			if _, ok := byName[dep]; !ok {
				bad.WithField("services["+s.Name+"].after", "there is no service "+dep)
			}
		}
	}
	var order []Spec
	if len(bad.Fields) == 0 {
		var cycle []string
		if order, cycle = sorted(specs, byName); cycle != nil {
			bad.WithField("services", "wait for each other: "+strings.Join(cycle, " → "))
		}
	}
	if len(bad.Fields) > 0 {
		for i, f := range bad.Fields {
			sep := "; "
			if i == 0 {
				sep = ": "
			}
			bad.Message += sep + f.Field + " " + f.Message
		}
		return nil, bad
	}
	return order, nil
}

// sorted puts dependencies first and otherwise keeps the given order, or
// returns the cycle that forbids it.
func sorted(specs []Spec, byName map[string]Spec) (order []Spec, cycle []string) {
	placed := map[string]bool{}
	var path []string
	var visit func(name string) bool
	visit = func(name string) bool {
		if placed[name] {
			return true
		}
		if i := slices.Index(path, name); i >= 0 {
			cycle = append(slices.Clone(path[i:]), name)
			return false
		}
		path = append(path, name)
		for _, dep := range byName[name].After {
			if !visit(dep) {
				return false
			}
		}
		path = path[:len(path)-1]
		placed[name] = true
		order = append(order, byName[name])
		return true
	}
	for _, s := range specs {
		if !visit(s.Name) {
			return nil, cycle
		}
	}
	return order, nil
}
