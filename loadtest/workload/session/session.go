// Package session is the workload of sessions: requests keep some alive, and
// make and end others.
package session

import (
	"context"
	"fmt"
	"strconv"

	"github.com/prism-data-layer/prism/loadtest"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// A Target makes sessions. It is called from many goroutines at once.
type Target interface {
	Create(ctx context.Context) (Session, error)
}

// A Session is one that was made.
type Session interface {
	Heartbeat(ctx context.Context) error
	Close(ctx context.Context) error
}

// Operations are the calls of this workload: create makes a session and ends
// it.
func Operations() []string { return []string{"heartbeat", "create"} }

// Defaults of a [Config].
const (
	DefaultMix      = "heartbeat=90,create=10"
	DefaultSessions = 10
)

const maxSessions = 100_000

// A Config sets the workload up. Every zero value has a default.
type Config struct {
	Mix      string
	Sessions uint64 // that are there all the time
	Order    string // of sessions, see [loadtest.NewKeys]
	Seed     uint64
}

// New sets up the workload on target.
func New(target Target, c Config) (*Workload, error) {
	if c.Mix == "" {
		c.Mix = DefaultMix
	}
	if c.Sessions == 0 {
		c.Sessions = DefaultSessions
	}
	if c.Sessions > maxSessions {
		return nil, prism.InvalidField("keys", fmt.Sprintf("must be at most %d: they are sessions", maxSessions))
	}
	mix, err := loadtest.ParseMix(c.Mix, Operations())
	if err != nil {
		return nil, err
	}
	keys, err := loadtest.NewKeys(c.Order, c.Sessions, c.Seed)
	if err != nil {
		return nil, err
	}
	return &Workload{target: target, config: c, mix: mix.Seeded(c.Seed), keys: keys}, nil
}

// A Workload is a [loadtest.Workload] on sessions. Prepare makes those that are
// kept, and End ends them.
type Workload struct {
	target Target
	config Config
	mix    loadtest.Mix
	keys   loadtest.Keys
	kept   []Session
}

var (
	_ loadtest.Workload = (*Workload)(nil)
	_ loadtest.Preparer = (*Workload)(nil)
)

func (w *Workload) Name() string         { return "session" }
func (w *Workload) Operations() []string { return Operations() }

func (w *Workload) Options() map[string]string {
	return map[string]string{"mix": w.mix.String(), "sessions": strconv.FormatUint(w.config.Sessions, 10), "order": w.keys.String()}
}

// Prepare makes the sessions that are kept, unless a run before this one did.
func (w *Workload) Prepare(ctx context.Context) error {
	for i := uint64(len(w.kept)); i < w.config.Sessions; i++ {
		s, err := w.target.Create(ctx)
		if err != nil {
			return fmt.Errorf("create session %d of %d: %w", i+1, w.config.Sessions, err)
		}
		w.kept = append(w.kept, s)
	}
	return nil
}

// End ends the sessions that were kept.
func (w *Workload) End(ctx context.Context) error {
	var first error
	for _, s := range w.kept {
		if err := s.Close(ctx); err != nil && first == nil {
			first = err
		}
	}
	w.kept = nil
	return first
}

func (w *Workload) Do(ctx context.Context, n uint64) loadtest.Outcome {
	o := loadtest.Outcome{Operation: w.mix.Pick(n)}
	if o.Operation == 0 {
		o.Err = w.kept[w.keys.Index(n)].Heartbeat(ctx)
		return o
	}
	s, err := w.target.Create(ctx)
	if err == nil {
		err = s.Close(ctx)
	}
	o.Err = err
	return o
}
