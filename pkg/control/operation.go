package control

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/prism-data-layer/prism/pkg/auth"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// An OperationState is how far an operation is.
type OperationState uint8

// The states, numbered as on the wire.
const (
	Running OperationState = iota + 1
	Done
	Failed
)

// An Operation is work that outlasts the call that asked for it.
type Operation struct {
	ID        string
	Kind      string // "namespace.delete"
	Resource  string
	Actor     string
	State     OperationState
	Message   string
	StartedAt time.Time
	EndedAt   time.Time
}

// CreateOperation stores a running operation under a new id of 131 random bits.
func (s *Store) CreateOperation(ctx context.Context, kind, resource, actor string) (Operation, error) {
	o := Operation{ID: auth.RandomText(22), Kind: kind, Resource: resource, Actor: actor, State: Running, StartedAt: s.now()}
	err := s.writer.write(ctx, "create an operation", func(t *tx) error {
		return t.exec("INSERT INTO operations (id, kind, resource, actor, state, message, started, ended) VALUES (?, ?, ?, ?, ?, '', ?, 0)",
			o.ID, kind, resource, actor, o.State, millis(o.StartedAt))
	}, nil)
	if err != nil {
		return Operation{}, err
	}
	return o, nil
}

const operationColumns = "id, kind, resource, actor, state, message, started, ended"

// FinishOperation ends an operation: done when cause is nil, otherwise failed
// with its message. One that has ended stays as it is.
func (s *Store) FinishOperation(ctx context.Context, id string, cause error) (Operation, error) {
	state, message := Done, ""
	if cause != nil {
		// Only what may travel: an unknown error may hold a path or worse.
		state, message = Failed, prism.From(cause).Message
	}
	var o Operation
	err := s.writer.write(ctx, "finish an operation", func(t *tx) error {
		if err := t.exec("UPDATE operations SET state = ?, message = ?, ended = ? WHERE id = ? AND state = ?",
			state, message, millis(s.now()), id, Running); err != nil {
			return err
		}
		var row operationRow
		var err error
		o, err = row.operation(id, t.row("SELECT "+operationColumns+" FROM operations WHERE id = ?", []any{id}, row.into()...))
		return err
	}, nil)
	if err != nil {
		return Operation{}, err
	}
	return o, nil
}

// Operation answers one, or NOT_FOUND.
func (s *Store) Operation(ctx context.Context, id string) (Operation, error) {
	var row operationRow
	return row.operation(id, s.row(ctx, "read an operation", "SELECT "+operationColumns+" FROM operations WHERE id = ?", []any{id}, row.into()...))
}

// RunningOperations lists what has not ended, the oldest first. After a restart
// its owner takes each up again, or finishes it with an error.
func (s *Store) RunningOperations(ctx context.Context) ([]Operation, error) {
	var list []Operation
	err := s.query(ctx, "list the operations", "SELECT "+operationColumns+" FROM operations WHERE state = 1 ORDER BY started", nil, func(rows *sql.Rows) error {
		var row operationRow
		o, err := row.operation("", rows.Scan(row.into()...))
		list = append(list, o)
		return err
	})
	return list, err
}

// AbandonOperations is for the start of a gateway: it finishes as failed every
// running operation that resume does not take. nil takes none.
func (s *Store) AbandonOperations(ctx context.Context, resume func(Operation) bool) error {
	running, err := s.RunningOperations(ctx)
	for _, o := range running {
		if resume != nil && resume(o) {
			continue
		}
		_, ferr := s.FinishOperation(ctx, o.ID, prism.New(prism.ReasonUnavailable, "the gateway stopped before it ended"))
		err = errors.Join(err, ferr)
	}
	return err
}

// operationRow is a row of operations.
type operationRow struct {
	o              Operation
	started, ended int64
}

func (r *operationRow) into() []any {
	return []any{&r.o.ID, &r.o.Kind, &r.o.Resource, &r.o.Actor, &r.o.State, &r.o.Message, &r.started, &r.ended}
}

func (r *operationRow) operation(id string, err error) (Operation, error) {
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return Operation{}, prism.NotFound("operation", id)
	case err != nil:
		return Operation{}, err
	}
	r.o.StartedAt, r.o.EndedAt = fromMillis(r.started), fromMillis(r.ended)
	return r.o, nil
}
