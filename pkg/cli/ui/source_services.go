package ui

import (
	"context"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/prism-data-layer/prism/pkg/config"
	"github.com/prism-data-layer/prism/pkg/iostreams"
	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/supervise"
	"github.com/prism-data-layer/prism/stacks"
	"github.com/prism-data-layer/prism/tui/component/logview"
	"github.com/prism-data-layer/prism/tui/component/tail"
	"github.com/prism-data-layer/prism/tui/page"
	"github.com/prism-data-layer/prism/tui/page/logs"
	"github.com/prism-data-layer/prism/tui/page/services"
)

// devSource answers the pages of what runs for the folder that the command is
// in, from its supervisor or from what the last one has left.
type devSource struct {
	*source

	mu   sync.Mutex
	used map[int]usage // by process, at the last look
	at   time.Time
}

// usage is what a process has used of the machine.
type usage struct {
	cpu    time.Duration // since it began
	memory int64         // resident
}

func devPages(s *source) []page.Factory {
	d := &devSource{source: s}
	l := logs.Factory(d)
	l.Complete = func(ctx context.Context) ([]string, error) {
		st, err := d.status(ctx)
		var names []string
		for _, x := range st.Services {
			names = append(names, x.Name)
		}
		return names, err
	}
	return []page.Factory{services.Factory(d), l}
}

// place is the project of the folder, and the supervisor's folder and socket.
func (d *devSource) place() (place config.Place, state, socket string, err error) {
	if place, err = config.FindProject(d.f.Place.Dir); err != nil {
		return place, "", "", err
	}
	dirs := d.f.Dirs()
	return place, place.StateDir(dirs), place.Socket(dirs, d.f.Place.Temp), nil
}

// notRunning reports whether err says that there is no supervisor.
func notRunning(err error) bool {
	var e *prism.Error
	return errors.As(err, &e) && e.Meta["kind"] == "not_running"
}

func (d *devSource) status(ctx context.Context) (supervise.Status, error) {
	_, state, socket, err := d.place()
	if err != nil {
		return supervise.Status{}, err
	}
	c, err := supervise.Dial(socket)
	switch {
	case err == nil:
		return c.Status(ctx)
	case !notRunning(err):
		return supervise.Status{}, err
	}
	return supervise.Inspect(state)
}

func (d *devSource) Services(ctx context.Context) (services.Snapshot, error) {
	place, state, _, err := d.place()
	if err != nil {
		return services.Snapshot{}, err
	}
	st, err := d.status(ctx)
	if err != nil {
		return services.Snapshot{}, err
	}
	records, _ := stacks.Running(state) //nolint:errcheck // the supervisor's picture stands without
	out := services.Snapshot{Root: place.Root, Running: st.Running, Warnings: st.Warnings}
	for _, x := range st.Services {
		s := services.Service{
			Name: x.Name, State: string(x.State), Message: x.Message, PID: x.PID, Since: x.Since, Restarts: x.Restarts,
			Dependants: x.Dependants, LastLog: x.LastLog, CPU: -1, Memory: -1,
		}
		if x.Exit != nil {
			s.Exit = x.Exit.String()
		}
		for _, name := range slices.Sorted(maps.Keys(x.Listen)) {
			s.Ports = append(s.Ports, name+" "+x.Listen[name])
		}
		for _, r := range records {
			if r.Name == x.Name {
				s.Form = string(r.Form)
			}
		}
		out.Services = append(out.Services, s)
	}
	if st.Running {
		d.measure(out.Services)
	}
	return out, nil
}

// measure fills in what the processes use, as far as this system tells. The CPU
// is that since the look before.
func (d *devSource) measure(list []services.Service) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now, used := time.Now(), map[int]usage{}
	for i := range list {
		u, ok := usageOf(list[i].PID)
		if !ok {
			continue
		}
		used[list[i].PID] = u
		list[i].Memory = u.memory
		if before, ok := d.used[list[i].PID]; ok && now.After(d.at) && u.cpu >= before.cpu {
			list[i].CPU = float64(u.cpu-before.cpu) / float64(now.Sub(d.at))
		}
	}
	d.used, d.at = used, now
}

// Logs follows a running supervisor, or reads what the last one has left.
func (d *devSource) Logs(ctx context.Context, service string, since time.Time, to *tail.Sink[logview.Line]) error {
	_, state, socket, err := d.place()
	if err != nil {
		return err
	}
	q := supervise.LogQuery{Since: since, Tail: logview.MaxLines, Follow: true}
	if service != "" {
		q.Services = []string{service}
	}
	give := func(l supervise.Line) error {
		to.Miss(int64(l.Missed))
		to.Send(logview.Line{Time: l.Time, Source: l.Service, Text: iostreams.LogLine(l.Text), Cut: l.Cut})
		return ctx.Err()
	}
	c, err := supervise.Dial(socket)
	switch {
	case err == nil:
		to.Open()
		if err := c.Logs(ctx, q, give); err != nil {
			return err
		}
		return prism.New(prism.ReasonUnavailable, "the supervisor has ended")
	case !notRunning(err):
		return err
	}
	q.Follow = false
	lines, err := supervise.ReadLogs(filepath.Join(state, "logs"), q)
	if err != nil {
		return err
	}
	for _, l := range lines {
		if err := give(l); err != nil {
			return err
		}
	}
	return nil
}

// Save makes a file that was not there before, for its owner alone.
func (d *devSource) Save(_ context.Context, path string, write func(io.Writer) error) (string, error) {
	if !filepath.IsAbs(path) {
		path = filepath.Join(d.f.Place.Dir, path)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return "", prism.New(prism.ReasonFailedPrecond, "cannot save to %s", path).WithCause(err)
	}
	err = write(f)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return "", prism.New(prism.ReasonFailedPrecond, "cannot save to %s", path).WithCause(err)
	}
	return "saved to " + path, nil
}
