package control

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/prism-data-layer/prism/pkg/auth"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// The kinds of operations of a move: the move itself, and then the end of the
// data on the backend that was left.
const (
	MoveKind  = "namespace.move"
	LeaveKind = "namespace.leave"
)

// A MoveSpec is what a move was asked to do, kept with its operation.
type MoveSpec struct {
	To    Binding `json:"to"`
	From  Binding `json:"from"`
	Moves int64   `json:"moves"` // how often the namespace had moved before

	KeepSource     time.Duration `json:"keep_source"`
	KeysPerSecond  int64         `json:"keys_per_second,omitempty"`
	BytesPerSecond int64         `json:"bytes_per_second,omitempty"`

	Started bool `json:"started,omitempty"` // the target was emptied, and holds what was copied
	// Where the histories of both sides were when the copy began; nil: it has not.
	SourceMark []byte `json:"source_mark,omitempty"`
	TargetMark []byte `json:"target_mark,omitempty"`

	Aborted bool `json:"aborted,omitempty"`
}

// A LeaveSpec is what is left on a backend after a move.
type LeaveSpec struct {
	From  Binding   `json:"from"`
	Moves int64     `json:"moves"` // how often the namespace has moved since
	After time.Time `json:"after"`
}

// A Former is where a namespace was before its last move. Watches and walks
// that began there need the rest of it.
type Former struct {
	Binding Binding `json:"binding"`
	Left    bool    `json:"left,omitempty"` // the data there is gone
	Version uint64  `json:"version,omitempty"`
	Start   []byte  `json:"start,omitempty"`
	Ordered bool    `json:"ordered,omitempty"`
}

// CreateMove stores a running move of a namespace that has none.
func (s *Store) CreateMove(ctx context.Context, name, actor string, spec MoveSpec) (o Operation, err error) {
	err = s.writer.write(ctx, "create a move", func(t *tx) error {
		n, err := t.namespace(name)
		switch {
		case err != nil:
			return err
		case n.State == Deleting:
			return prism.New(prism.ReasonNamespaceBusy, "namespace %q is being deleted", name).WithNamespace(prism.Namespace(name))
		case n.Binding != spec.From || n.Moves != spec.Moves:
			return prism.New(prism.ReasonNamespaceBusy, "namespace %q has just moved", name).WithNamespace(prism.Namespace(name))
		}
		var other string
		err = t.row("SELECT id FROM operations WHERE state = 1 AND kind = ? AND resource = ?", []any{MoveKind, name}, &other)
		if err == nil {
			return prism.New(prism.ReasonNamespaceBusy, "namespace %q is being moved by operation %s", name, other).
				WithNamespace(prism.Namespace(name)).WithMeta("operation", other)
		}
		if !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		o, err = t.putOperation(MoveKind, name, actor, s.now(), spec)
		return err
	}, nil)
	return o, err
}

// Move binds a namespace to where a move has brought it, ends the move's
// operation and begins the one that will drop what was left, all in one
// transaction. leave is nil where nothing is to be dropped.
func (s *Store) Move(ctx context.Context, move Operation, to Binding, from Former, message string, leave *LeaveSpec) (n Namespace, left Operation, err error) {
	err = s.writer.write(ctx, "move a namespace", func(t *tx) error {
		if n, err = t.namespace(move.Resource); err != nil {
			return err
		}
		detail := fmt.Sprintf("from %s to %s", n.Binding.Backend, to.Backend)
		n.Binding, n.Former = to, &from
		n.Moves++
		n.Revision++
		n.UpdatedAt = s.now()
		if err := t.putNamespace(n); err != nil {
			return err
		}
		if err := t.putEvent(n.Name, NamespaceEvent{Revision: n.Revision, Time: n.UpdatedAt, Kind: EventMoved, Actor: move.Actor, Detail: detail}); err != nil {
			return err
		}
		if err := t.exec("UPDATE operations SET state = ?, message = ?, ended = ? WHERE id = ?", Done, message, millis(s.now()), move.ID); err != nil {
			return err
		}
		if leave == nil {
			return nil
		}
		left, err = t.putOperation(LeaveKind, n.Name, move.Actor, s.now(), *leave)
		return err
	}, s.notify)
	return n, left, err
}

// Left notes that the data on the backend that a namespace has left is gone.
func (s *Store) Left(ctx context.Context, name string, moves int64) error {
	return s.writer.write(ctx, "note that a backend was left", func(t *tx) error {
		n, err := t.namespace(name)
		if err != nil || n.Moves != moves || n.Former == nil {
			return err
		}
		n.Former.Left = true
		return t.putNamespace(n)
	}, nil)
}

func (t *tx) putOperation(kind, resource, actor string, now time.Time, detail any) (Operation, error) {
	o := Operation{ID: auth.RandomText(22), Kind: kind, Resource: resource, Actor: actor, State: Running, StartedAt: now}
	if err := t.exec("INSERT INTO operations (id, kind, resource, actor, state, message, started, ended) VALUES (?, ?, ?, ?, ?, '', ?, 0)",
		o.ID, kind, resource, actor, o.State, millis(o.StartedAt)); err != nil {
		return o, err
	}
	return o, t.putDetail(o.ID, detail)
}

const detailScope = "operations"

func (t *tx) putDetail(id string, detail any) error {
	body, err := json.Marshal(detail)
	if err != nil {
		return err
	}
	return t.exec("INSERT OR REPLACE INTO state (scope, key, value) VALUES (?, ?, ?)", detailScope, id, body)
}

// OperationDetail reads what is kept with an operation.
func (s *Store) OperationDetail(ctx context.Context, id string, into any) error {
	body, found, err := s.State(detailScope).Get(ctx, id)
	switch {
	case err != nil:
		return err
	case !found:
		return prism.NotFound("operation", id)
	}
	return json.Unmarshal(body, into)
}

// SetOperationDetail replaces what is kept with an operation.
func (s *Store) SetOperationDetail(ctx context.Context, id string, detail any) error {
	return s.writer.write(ctx, "note how an operation goes", func(t *tx) error { return t.putDetail(id, detail) }, nil)
}

// NoteOperation says how a running operation goes.
func (s *Store) NoteOperation(ctx context.Context, id, message string) error {
	return s.writer.write(ctx, "note how an operation goes", func(t *tx) error {
		return t.exec("UPDATE operations SET message = ? WHERE id = ? AND state = ?", message, id, Running)
	}, nil)
}
