package session_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prism-data-layer/prism/loadtest"
	"github.com/prism-data-layer/prism/loadtest/pace"
	"github.com/prism-data-layer/prism/loadtest/workload/session"
)

// gateway counts what is open.
type gateway struct {
	open, beats atomic.Int64
	most        int64
}

func (g *gateway) Create(context.Context) (session.Session, error) {
	if n := g.open.Add(1); g.most > 0 && n > g.most {
		g.open.Add(-1)
		return nil, errors.New("full")
	}
	return &one{g}, nil
}

type one struct{ g *gateway }

func (o *one) Heartbeat(context.Context) error { o.g.beats.Add(1); return nil }
func (o *one) Close(context.Context) error     { o.g.open.Add(-1); return nil }

func TestSessionsAreKeptAliveAndMade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gateway{}
		w, err := session.New(g, session.Config{Sessions: 5})
		if err != nil {
			t.Fatal(err)
		}
		s, _ := pace.Constant(100, time.Second)
		for range 2 { // the second run finds the sessions of the first
			r, err := loadtest.Run(t.Context(), loadtest.Plan{Schedule: s}, w)
			if err != nil || r.Operations[0].OK != 90 || r.Operations[1].OK != 10 {
				t.Errorf("got %+v, %v", r, err)
			}
		}
		if g.open.Load() != 5 || g.beats.Load() != 180 {
			t.Errorf("%d open, %d heartbeats", g.open.Load(), g.beats.Load())
		}
		if err := w.End(t.Context()); err != nil || g.open.Load() != 0 {
			t.Errorf("%v, %d open at the end", err, g.open.Load())
		}
	})
}

func TestAGatewayThatIsFullEndsTheRunBeforeItBegins(t *testing.T) {
	t.Parallel()
	w, _ := session.New(&gateway{most: 3}, session.Config{Sessions: 5})
	if err := w.Prepare(t.Context()); err == nil || err.Error() != "create session 4 of 5: full" {
		t.Errorf("got %v", err)
	}
	if _, err := session.New(nil, session.Config{Sessions: 1 << 40}); err == nil {
		t.Error("too many sessions are not refused")
	}
}
