package admin

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/prism-data-layer/prism/pkg/control"
	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/route"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
)

// keepSource is how long the data that a move has left is kept unless the move
// says otherwise: watchers who were away meanwhile go on there.
const keepSource = 10 * time.Minute

// A moving is a move that runs in this gateway.
type moving struct {
	operation control.Operation
	spec      control.MoveSpec
	cancel    context.CancelCauseFunc
	done      chan struct{}

	mu       sync.Mutex
	progress route.Progress
}

func (m *moving) report(p route.Progress) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.progress = p
}

func (m *moving) now() route.Progress {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.progress
}

// marks are where the histories were when an earlier try began.
func (m *moving) marks() *route.Marks {
	if m.spec.SourceMark == nil {
		return nil
	}
	return &route.Marks{Source: m.spec.SourceMark, Target: m.spec.TargetMark}
}

// movings are the moves that run, by namespace.
type movings struct {
	mu   sync.Mutex
	list map[string]*moving
}

func (l *movings) find(name string) *moving {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.list[name]
}

func (l *movings) put(name string, m *moving) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.list == nil {
		l.list = map[string]*moving{}
	}
	if m == nil {
		delete(l.list, name)
		return
	}
	l.list[name] = m
}

// refuse refuses what cannot be done to a namespace that moves.
func (l *movings) refuse(name string) error {
	if m := l.find(name); m != nil {
		return prism.New(prism.ReasonNamespaceBusy, "namespace %q is being moved to %s: abort that first", name, m.spec.To.Backend).
			WithNamespace(prism.Namespace(name)).WithMeta("operation", m.operation.ID)
	}
	return nil
}

// Why a move ends before its time.
var (
	errAborted = prism.New(prism.ReasonFailedPrecond, "aborted: the namespace is where it was")
	errStopped = errors.New("the gateway stops")
)

// MoveNamespace begins a move and answers its operation.
func (s *Service) MoveNamespace(ctx context.Context, r *adminv1.MoveNamespaceRequest) (*adminv1.MoveNamespaceResponse, error) {
	n, err := s.road.Control.Namespace(ctx, r.Name)
	if err != nil {
		return nil, err
	}
	if err := s.moves.refuse(n.Name); err != nil {
		return nil, err
	}
	plan, err := s.router.PlanMove(ctx, n, r.To)
	if err != nil {
		return nil, err
	}
	if err := permit(n, plan, r); err != nil {
		return nil, err
	}
	resp := &adminv1.MoveNamespaceResponse{Fewer: plan.Fewer, Notes: plan.Notes}
	if r.DryRun {
		resp.Operation = &adminv1.Operation{Kind: control.MoveKind, Resource: n.Name}
		return resp, nil
	}
	spec := control.MoveSpec{
		To: plan.To, From: n.Binding, Moves: n.Moves, KeepSource: keepSource,
		KeysPerSecond: r.KeysPerSecond, BytesPerSecond: r.BytesPerSecond,
	}
	if r.KeepSourceMs > 0 {
		spec.KeepSource = time.Duration(r.KeepSourceMs) * time.Millisecond
	}
	o, err := s.road.Control.CreateMove(ctx, n.Name, caller(ctx).Name(), spec)
	if err != nil {
		return nil, err
	}
	resp.Operation = operationOf(o)
	if !plan.Live {
		resp.Operation, err = s.rebind(ctx, o, n, spec)
		return resp, err
	}
	s.startMove(o, spec)
	return resp, nil
}

// permit refuses what a move would lose unless the request says so.
func permit(n control.Namespace, plan route.MovePlan, r *adminv1.MoveNamespaceRequest) error {
	if len(plan.Fewer) > 0 && !r.AllowFewer {
		return prism.New(prism.ReasonFailedPrecond, "on backend %q namespace %q would lack %s: allow_fewer moves it all the same",
			r.To, n.Name, strings.Join(plan.Fewer, ", ")).WithMeta("fewer", strings.Join(plan.Fewer, ",")).WithNamespace(prism.Namespace(n.Name))
	}
	former := n.Former != nil && !n.Former.Left && n.Former.Binding.Backend == r.To // its own, from before the last move
	if plan.Holds > 0 && !former && !r.Overwrite {
		return prism.New(prism.ReasonFailedPrecond, "backend %q already holds %d keys of a namespace %q: overwrite drops them",
			r.To, plan.Holds, n.Name).WithNamespace(prism.Namespace(n.Name))
	}
	return nil
}

// startMove runs a move in the background.
func (s *Service) startMove(o control.Operation, spec control.MoveSpec) {
	ctx, cancel := context.WithCancelCause(context.Background())
	m := &moving{operation: o, spec: spec, cancel: cancel, done: make(chan struct{})}
	s.moves.put(o.Resource, m)
	s.work.Go(func() {
		defer close(m.done)
		defer cancel(nil)
		defer s.moves.put(o.Resource, nil)
		stop := context.AfterFunc(s.life, func() { cancel(errStopped) })
		defer stop()
		s.runMove(ctx, m)
	})
}

// Waits between the tries of a move whose backend did not answer.
const (
	moveRetry    = time.Second
	maxMoveRetry = time.Minute
)

// runMove tries until the namespace has moved, or cannot.
func (s *Service) runMove(ctx context.Context, m *moving) {
	go s.noteMove(ctx, m)
	for wait := moveRetry; ; wait = min(2*wait, maxMoveRetry) {
		err := s.tryMove(ctx, m)
		switch {
		case err == nil:
			return
		case context.Cause(ctx) == errStopped: //nolint:errorlint // it is this one, or another
			return // the operation goes on after the next start
		case ctx.Err() == nil && prism.From(err).Retryable():
			s.road.Log.Warn("a move waits for its backends", "namespace", m.operation.Resource, "operation", m.operation.ID, "error", err)
			if s.pause(ctx, wait) {
				continue
			}
			if context.Cause(ctx) == errStopped { //nolint:errorlint // likewise
				return
			}
		}
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		s.failMove(m, err)
		return
	}
}

// pause waits unless ctx ends.
func (s *Service) pause(ctx context.Context, d time.Duration) bool {
	t := s.road.Clock.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func (s *Service) tryMove(ctx context.Context, m *moving) error {
	name := m.operation.Resource
	if !m.spec.Started {
		if err := s.finishLeave(ctx, name); err != nil {
			return err
		}
		if err := s.router.Clear(ctx, name, m.spec.To.Backend); err != nil {
			return err
		}
		m.spec.Started = true
		if err := s.road.Control.SetOperationDetail(ctx, m.operation.ID, m.spec); err != nil {
			return err
		}
	}
	var left control.Operation
	err := s.router.Move(ctx, route.Copy{
		Name: name, To: m.spec.To.Backend, KeysPerSecond: m.spec.KeysPerSecond, BytesPerSecond: m.spec.BytesPerSecond,
		Report: m.report, Marks: m.marks(),
		Mark: func(at route.Marks) error {
			m.spec.SourceMark, m.spec.TargetMark = at.Source, at.Target
			return s.road.Control.SetOperationDetail(ctx, m.operation.ID, m.spec)
		},
		Exclusive: func(f func() error) error {
			s.change.Lock()
			defer s.change.Unlock()
			if err := f(); err != nil {
				return err
			}
			if err := s.put(context.WithoutCancel(ctx), name); err != nil {
				s.road.Log.Error("a namespace has moved, and what is in force could not be renewed", "namespace", name, "error", err)
			}
			return nil
		},
		Settle: func(a route.Arrival) (err error) {
			from := control.Former{Binding: m.spec.From, Version: a.Version, Start: a.Start, Ordered: a.Ordered}
			// Not to be given up: whether it happened must be known.
			_, left, err = s.road.Control.Move(context.WithoutCancel(ctx), m.operation, m.spec.To, from, summary(a.Progress), s.leaveSpec(m.spec))
			return err
		},
	})
	if err != nil {
		return err
	}
	s.road.Log.Info("a namespace has moved", "namespace", name, "from", m.spec.From.Backend, "to", m.spec.To.Backend)
	return s.resumeLeave(ctx, left)
}

func (s *Service) leaveSpec(m control.MoveSpec) *control.LeaveSpec {
	return &control.LeaveSpec{From: m.From, Moves: m.Moves + 1, After: s.road.Clock.Now().Add(m.KeepSource)}
}

func summary(p route.Progress) string {
	return fmt.Sprintf("%d keys and %d receipts copied, %d verified", p.Copied, p.Receipts, p.Verified)
}

// noteEvery is how often the control store is told how a move goes.
const noteEvery = 2 * time.Second

func (s *Service) noteMove(ctx context.Context, m *moving) {
	for s.pause(ctx, noteEvery) {
		if err := s.road.Control.NoteOperation(ctx, m.operation.ID, m.now().String()); err != nil && ctx.Err() == nil {
			s.road.Log.Warn("cannot note how a move goes", "operation", m.operation.ID, "error", err)
		}
	}
}

// failMove ends a move that was aborted or cannot be done: what was copied is
// dropped first, so that a stop in between leaves an operation to go on with.
func (s *Service) failMove(m *moving, cause error) {
	ctx, cancel := context.WithTimeout(context.Background(), deleteTime)
	defer cancel()
	name, o := m.operation.Resource, m.operation
	m.spec.Aborted = true
	if err := s.road.Control.SetOperationDetail(ctx, o.ID, m.spec); err != nil {
		s.road.Log.Error("cannot note that a move has ended", "operation", o.ID, "error", err)
	}
	if m.spec.Started {
		if err := s.router.Clear(ctx, name, m.spec.To.Backend); err != nil {
			s.road.Log.Error("what a move has copied could not be dropped", "namespace", name, "backend", m.spec.To.Backend, "error", err)
			cause = errors.Join(cause, err)
		}
	}
	s.road.Log.Warn("a namespace was not moved", "namespace", name, "to", m.spec.To.Backend, "error", cause)
	if _, err := s.road.Control.FinishOperation(ctx, o.ID, cause); err != nil {
		s.road.Log.Error("cannot finish an operation", "operation", o.ID, "error", err)
	}
}

// AbortMove ends a move and answers its operation once that has ended.
func (s *Service) AbortMove(ctx context.Context, r *adminv1.AbortMoveRequest) (*adminv1.AbortMoveResponse, error) {
	if _, err := s.road.Control.Namespace(ctx, r.Name); err != nil {
		return nil, err
	}
	m := s.moves.find(r.Name)
	if m == nil {
		return nil, prism.New(prism.ReasonFailedPrecond, "namespace %q is not being moved", r.Name).WithNamespace(prism.Namespace(r.Name))
	}
	m.cancel(errAborted)
	select {
	case <-m.done:
	case <-ctx.Done():
		return nil, prism.From(ctx.Err())
	}
	o, err := s.road.Control.Operation(ctx, m.operation.ID)
	if err != nil {
		return nil, err
	}
	if o.State == control.Done {
		return nil, prism.New(prism.ReasonFailedPrecond, "namespace %q had moved to %s already", r.Name, m.spec.To.Backend).WithNamespace(prism.Namespace(r.Name))
	}
	return &adminv1.AbortMoveResponse{Operation: operationOf(o)}, nil
}

// rebind moves a namespace whose data does not go along: it is there at once,
// and streams end with MOVED.
func (s *Service) rebind(ctx context.Context, o control.Operation, n control.Namespace, spec control.MoveSpec) (*adminv1.Operation, error) {
	s.change.Lock()
	defer s.change.Unlock()
	spec.KeepSource = 0
	fail := func(err error) (*adminv1.Operation, error) {
		_, ferr := s.road.Control.FinishOperation(context.WithoutCancel(ctx), o.ID, err)
		return nil, errors.Join(err, ferr)
	}
	if err := s.finishLeave(ctx, n.Name); err != nil {
		return fail(err)
	}
	if err := s.router.Clear(ctx, n.Name, spec.To.Backend); err != nil {
		return fail(err)
	}
	held := s.router.Held(n.Name)
	_, left, err := s.road.Control.Move(context.WithoutCancel(ctx), o, spec.To, control.Former{Binding: spec.From}, "it begins empty", s.leaveSpec(spec))
	if err != nil {
		return fail(err)
	}
	if err := s.put(ctx, n.Name); err != nil {
		return nil, err
	}
	s.startLeave(left, *s.leaveSpec(spec), held)
	if o, err = s.road.Control.Operation(ctx, o.ID); err != nil {
		return nil, err
	}
	return operationOf(o), nil
}

// resumeMove goes on with a move that a stop of the gateway has interrupted.
func (s *Service) resumeMove(ctx context.Context, o control.Operation) error {
	var spec control.MoveSpec
	if err := s.road.Control.OperationDetail(ctx, o.ID, &spec); err != nil {
		return err
	}
	n, err := s.road.Control.Namespace(ctx, o.Resource)
	if err != nil || n.State == control.Deleting {
		_, err = s.road.Control.FinishOperation(ctx, o.ID, prism.New(prism.ReasonNotFound, "the namespace is gone"))
		return err
	}
	plan, err := s.router.PlanMove(ctx, n, spec.To.Backend)
	if err == nil && !plan.Live {
		err = prism.New(prism.ReasonUnavailable, "the gateway stopped before it ended")
	}
	if err != nil && !prism.From(err).Retryable() {
		_, err = s.road.Control.FinishOperation(ctx, o.ID, err)
		return err
	}
	if spec.Aborted {
		s.work.Go(func() { s.failMove(&moving{operation: o, spec: spec}, errAborted) })
		return nil
	}
	s.startMove(o, spec)
	return nil
}

// resumeLeave drops what a move has left, when its time has come.
func (s *Service) resumeLeave(ctx context.Context, o control.Operation) error {
	var spec control.LeaveSpec
	if err := s.road.Control.OperationDetail(ctx, o.ID, &spec); err != nil {
		return err
	}
	if earliest := s.road.Clock.Now().Add(leaveAfterStart); spec.After.Before(earliest) {
		spec.After = earliest // who watches has lost the connection, and comes back
	}
	s.startLeave(o, spec, s.router.Held(""))
	return nil
}

// leaveAfterStart is how long what was left stays at least after a start of the
// gateway.
const leaveAfterStart = time.Second

func (s *Service) startLeave(o control.Operation, spec control.LeaveSpec, held route.Held) {
	s.work.Go(func() {
		if !s.pause(s.life, spec.After.Sub(s.road.Clock.Now())) {
			return
		}
		if err := s.leave(s.life, o, spec, held); err != nil && s.life.Err() == nil {
			s.road.Log.Error("what a move has left could not be dropped", "namespace", o.Resource, "backend", spec.From.Backend, "error", err)
			if _, err := s.road.Control.FinishOperation(s.life, o.ID, err); err != nil {
				s.road.Log.Error("cannot finish an operation", "operation", o.ID, "error", err)
			}
		}
	})
}

// leave drops what a move has left, unless it is gone, or the namespace is, or
// has come back to it.
func (s *Service) leave(ctx context.Context, o control.Operation, spec control.LeaveSpec, held route.Held) error {
	s.leaving.Lock()
	defer s.leaving.Unlock()
	n, err := s.road.Control.Namespace(ctx, o.Resource)
	if err == nil && n.Moves == spec.Moves && n.State != control.Deleting && n.Former != nil && !n.Former.Left {
		ctx, cancel := context.WithTimeout(ctx, deleteTime)
		defer cancel()
		if err := s.router.Leave(ctx, n.Name, spec.From.Backend, held); err != nil {
			return err
		}
		if err := s.road.Control.Left(ctx, n.Name, spec.Moves); err != nil {
			return err
		}
	}
	if err != nil && !errors.Is(err, prism.ReasonNotFound) {
		return err
	}
	_, err = s.road.Control.FinishOperation(ctx, o.ID, nil)
	return err
}

// finishLeave drops at once what an earlier move of a namespace has left.
func (s *Service) finishLeave(ctx context.Context, name string) error {
	running, err := s.road.Control.RunningOperations(ctx)
	if err != nil {
		return err
	}
	for _, o := range running {
		if o.Kind != control.LeaveKind || o.Resource != name {
			continue
		}
		var spec control.LeaveSpec
		if err := s.road.Control.OperationDetail(ctx, o.ID, &spec); err != nil {
			return err
		}
		if err := s.leave(ctx, o, spec, s.router.Held("")); err != nil {
			return err
		}
	}
	return nil
}

// progressOf tells how far a move is that runs in this gateway.
func progressOf(m *moving) *adminv1.MoveProgress {
	p := m.now()
	out := &adminv1.MoveProgress{
		Phase: string(p.Phase), TotalKeys: max(p.Total, p.Seen), SeenKeys: p.Seen, CopiedKeys: p.Copied, CopiedBytes: p.Bytes,
		CopiedReceipts: p.Receipts, Lag: p.Lag, VerifiedKeys: p.Verified, Holds: p.Holds, HeldMs: p.Held.Milliseconds(),
	}
	if out.TotalKeys > 0 {
		out.Percent = int32(100 * p.Seen / out.TotalKeys)
	}
	return out
}
