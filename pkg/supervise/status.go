package supervise

import (
	"context"
	"fmt"
	"os"
	"time"
)

// A State is where a service is in its life.
type State string

// The states.
const (
	Starting  State = "starting"   // waits for its dependencies, or runs and is not ready yet
	Ready     State = "ready"      // runs, and the probe says so
	Degraded  State = "degraded"   // runs, but the probe fails
	Crashed   State = "crashed"    // ended by itself; a start is due, or it is a task that failed
	CrashLoop State = "crash-loop" // crashed too often; waits for a restart or a repair
	Stopping  State = "stopping"   // was asked to stop
	Stopped   State = "stopped"    // is not running, and shall not
	Done      State = "done"       // a task that ended well
)

// Up reports whether what needs the service may start: it is ready, or done.
func (s State) Up() bool { return s == Ready || s == Done }

// A Status is a truthful picture of a supervisor at one moment.
type Status struct {
	ID         string          `json:"id"`
	Root       string          `json:"root,omitempty"` // the project's folder
	Running    bool            `json:"running"`        // a supervisor answers; false when read from the state file
	Ready      bool            `json:"ready"`          // every service is, or is done
	Supervisor int             `json:"supervisor_pid,omitempty"`
	Watcher    int             `json:"watcher_pid,omitempty"`
	Isolation  string          `json:"isolation,omitempty"` // "cgroup", "process group" or "job object"
	Since      time.Time       `json:"since,omitzero"`
	Warnings   []string        `json:"warnings,omitempty"`
	Services   []ServiceStatus `json:"services"`
}

// A ServiceStatus is one line of it.
type ServiceStatus struct {
	Name       string            `json:"name"`
	State      State             `json:"state"`
	PID        int               `json:"pid,omitempty"`
	Since      time.Time         `json:"since,omitzero"` // when it came into this state
	ReadyMS    int64             `json:"ready_ms,omitempty"`
	Restarts   int               `json:"restarts"`
	Exit       *Exit             `json:"exit,omitempty"`    // how the last run ended
	Message    string            `json:"message,omitempty"` // why it is not ready, what it says it is doing, or why its build failed
	Listen     map[string]string `json:"listen,omitempty"`
	After      []string          `json:"after,omitempty"`
	Dependants []string          `json:"dependants,omitempty"` // the services that have it in their After
	LastLog    []string          `json:"last_log,omitempty"`   // the last lines, when it crashed or is late
	Late       bool              `json:"late,omitempty"`       // not ready within its time since it was first started
}

// An Exit is how a process ended.
type Exit struct {
	Code   int       `json:"code"`
	Signal string    `json:"signal,omitempty"`
	Error  string    `json:"error,omitempty"` // it could not be started at all
	At     time.Time `json:"at"`
}

func (e Exit) String() string {
	switch {
	case e.Error != "":
		return e.Error
	case e.Signal != "":
		return "killed by " + e.Signal
	}
	return fmt.Sprintf("exit code %d", e.Code)
}

// Service finds a service by name; nil if there is none.
func (s Status) Service(name string) *ServiceStatus {
	for i := range s.Services {
		if s.Services[i].Name == name {
			return &s.Services[i]
		}
	}
	return nil
}

// An Event is a change of a service's state, or a message of the supervisor's
// own when Service is empty.
type Event struct {
	Time    time.Time `json:"time"`
	Service string    `json:"service,omitempty"`
	State   State     `json:"state,omitempty"`
	PID     int       `json:"pid,omitempty"`
	Message string    `json:"message,omitempty"`
}

// Events delivers what changes from now on, until ctx or the supervisor ends.
func (s *Supervisor) Events(ctx context.Context) <-chan Event { return s.events.subscribe(ctx, 1024) }

// Status is the picture now.
func (s *Supervisor) Status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status()
}

func (s *Supervisor) status() Status {
	st := Status{
		ID: s.opts.ID, Root: s.opts.Root, Running: true, Ready: true, Supervisor: os.Getpid(),
		Isolation: s.isolation, Since: s.since, Warnings: append([]string(nil), s.warnings...),
	}
	if s.watch != nil {
		st.Watcher = s.watch.pid()
	}
	if s.saveErr != nil {
		st.Warnings = append(st.Warnings, "the state file cannot be written: "+s.saveErr.Error())
	}
	for _, svc := range s.services {
		one := svc.st
		if one.State == Crashed || one.State == CrashLoop || one.State == Degraded || one.Late {
			one.LastLog = svc.logs.last(20)
		}
		if svc.logs != nil && svc.logs.err() != nil {
			st.Warnings = append(st.Warnings, "the log of "+svc.spec.Name+" has gaps: "+svc.logs.err().Error())
		}
		st.Ready = st.Ready && one.State.Up()
		st.Services = append(st.Services, one)
	}
	return st
}
