package control

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/prism-data-layer/prism/pkg/prism"
)

// A NamespaceState is where a namespace stands in its life.
type NamespaceState uint8

// The states, numbered as on the wire.
const (
	Provisioning NamespaceState = iota + 1
	Active
	Degraded
	Deleting
	Deleted
)

func (s NamespaceState) String() string {
	names := [...]string{"Unspecified", "Provisioning", "Active", "Degraded", "Deleting", "Deleted"}
	if int(s) < len(names) {
		return names[s]
	}
	return "Unknown"
}

// A Namespace is what is kept of one.
type Namespace struct {
	Name        string `json:"name"`
	Model       string `json:"model"`
	Backend     string `json:"backend,omitempty"` // the wish; where the data is, Binding says
	Description string `json:"description,omitempty"`

	Needs      Needs         `json:"needs,omitzero"`
	Limits     Limits        `json:"limits,omitzero"`
	Access     Access        `json:"access,omitzero"`
	DefaultTTL time.Duration `json:"default_ttl,omitempty"`
	MaxTTL     time.Duration `json:"max_ttl,omitempty"`
	Retention  time.Duration `json:"retention,omitempty"` // of time series; 0: for ever

	// Of a namespace of queues.
	NoAutoCreate bool   `json:"no_auto_create,omitempty"` // publishing makes no topic and no queue
	DefaultKind  string `json:"default_kind,omitempty"`   // "log" or "work": all that publishing makes; empty: either

	State      NamespaceState `json:"state"`
	Binding    Binding        `json:"binding,omitzero"`
	Moves      int64          `json:"moves,omitempty"` // how often the binding was changed by a move
	Former     *Former        `json:"former,omitempty"`
	DeclaredIn string         `json:"declared_in,omitempty"` // "prism.yaml:14"; empty: by the admin API

	Revision  int64     `json:"revision"` // of all but State; grows by one with each change
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
}

// Needs are what an application asks for.
type Needs struct {
	Durability string        `json:"durability,omitempty"` // "strong" or "relaxed"; empty: strong
	TTL        time.Duration `json:"ttl,omitempty"`
	ReadRPS    int64         `json:"read_rps,omitempty"`
	WriteRPS   int64         `json:"write_rps,omitempty"`
	SizeBytes  int64         `json:"size_bytes,omitempty"`
}

// Limits bound what callers may do together; 0: no bound.
type Limits struct {
	RequestRPS int64 `json:"request_rps,omitempty"`
	Burst      int64 `json:"burst,omitempty"`
	Receipts   int64 `json:"receipts,omitempty"` // 0: the default, 1,000,000

	// Of a namespace of queues; 0: the defaults of package data.
	Queues       int64 `json:"queues,omitempty"`     // topics and queues together
	Partitions   int64 `json:"partitions,omitempty"` // of all topics together
	Groups       int64 `json:"groups,omitempty"`     // of a topic
	MessageBytes int64 `json:"message_bytes,omitempty"`

	BufferBytes int64 `json:"buffer_bytes,omitempty"` // of a namespace of time series: events that wait for the store
}

// Access says who may do what.
type Access struct {
	Owners    []string `json:"owners,omitempty"` // may do everything
	Consumers []Grant  `json:"consumers,omitempty"`
}

// A Grant gives permissions to the principals that match.
type Grant struct {
	Principal   string   `json:"principal"`   // with * for any run of characters inside a name
	Permissions []string `json:"permissions"` // "read", "write"
}

// A Binding is where the data of a namespace is. It is made at creation and
// changed only by move, promote and rollback.
type Binding struct {
	Backend string `json:"backend,omitempty"`
	Driver  string `json:"driver,omitempty"`
}

// The kinds of events.
const (
	EventCreated  = "created"
	EventUpdated  = "updated"
	EventBound    = "bound"
	EventMoved    = "moved"
	EventDeleting = "deleting"
	EventDeleted  = "deleted"
)

// A NamespaceEvent is a line of a namespace's history, which outlives it.
type NamespaceEvent struct {
	Revision int64
	Time     time.Time
	Kind     string
	Actor    string
	Detail   string
}

// Namespaces lists all, by name.
func (s *Store) Namespaces(ctx context.Context) ([]Namespace, error) {
	var list []Namespace
	err := s.query(ctx, "list the namespaces", "SELECT name, body FROM namespaces ORDER BY name", nil, func(rows *sql.Rows) error {
		var name, body string
		if err := rows.Scan(&name, &body); err != nil {
			return err
		}
		var n Namespace
		if err := unseal("namespace "+strconv.Quote(name), body, &n); err != nil {
			return err
		}
		list = append(list, n)
		return nil
	})
	return list, err
}

// CountNamespaces answers how many there are.
func (s *Store) CountNamespaces(ctx context.Context) (n int64, err error) {
	err = s.row(ctx, "count the namespaces", "SELECT count(*) FROM namespaces", nil, &n)
	return n, err
}

const selectNamespace = "SELECT body FROM namespaces WHERE name = ?"

// Namespace answers one, or NOT_FOUND.
func (s *Store) Namespace(ctx context.Context, name string) (Namespace, error) {
	var body string
	err := s.row(ctx, "read a namespace", selectNamespace, []any{name}, &body)
	return namespaceFrom(name, body, err)
}

func namespaceFrom(name, body string, err error) (n Namespace, _ error) {
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return n, prism.NotFound("namespace", name).WithNamespace(prism.Namespace(name))
	case err != nil:
		return n, err
	}
	return n, unseal("namespace "+strconv.Quote(name), body, &n)
}

func (t *tx) namespace(name string) (Namespace, error) {
	var body string
	err := t.row(selectNamespace, []any{name}, &body)
	return namespaceFrom(name, body, err)
}

func (t *tx) putNamespace(n Namespace) error {
	body, err := seal(n)
	if err != nil {
		return err
	}
	return t.exec("INSERT OR REPLACE INTO namespaces (name, revision, body) VALUES (?, ?, ?)", n.Name, n.Revision, body)
}

func (t *tx) putEvent(name string, e NamespaceEvent) error {
	return t.exec("INSERT INTO namespace_events (name, revision, time, kind, actor, detail) VALUES (?, ?, ?, ?, ?, ?)",
		name, e.Revision, millis(e.Time), e.Kind, e.Actor, e.Detail)
}

// CreateNamespace stores n as a new namespace, Provisioning unless n says
// otherwise, and answers it with its revision, which is above that of any
// earlier namespace of the name. ALREADY_EXISTS if there is one.
func (s *Store) CreateNamespace(ctx context.Context, n Namespace, actor string) (Namespace, error) {
	if _, err := prism.ParseNamespace(n.Name); err != nil {
		return Namespace{}, err
	}
	if n.State == 0 {
		n.State = Provisioning
	}
	n.CreatedAt = s.now()
	n.UpdatedAt = n.CreatedAt
	err := s.writer.write(ctx, "create a namespace", func(t *tx) error {
		switch old, err := t.namespace(n.Name); {
		case err == nil && old.State == Deleting:
			return prism.New(prism.ReasonNamespaceBusy, "namespace %q is being deleted", n.Name).WithNamespace(prism.Namespace(n.Name))
		case err == nil:
			return prism.New(prism.ReasonAlreadyExists, "namespace %q already exists", n.Name).WithNamespace(prism.Namespace(n.Name))
		case !errors.Is(err, prism.ReasonNotFound):
			return err
		}
		err := t.row("SELECT coalesce(max(revision), 0) + 1 FROM namespace_events WHERE name = ?", []any{n.Name}, &n.Revision)
		if err != nil {
			return err
		}
		if err := t.putNamespace(n); err != nil {
			return err
		}
		return t.putEvent(n.Name, NamespaceEvent{Revision: n.Revision, Time: n.CreatedAt, Kind: EventCreated, Actor: actor, Detail: created(n)})
	}, s.notify)
	if err != nil {
		return Namespace{}, err
	}
	return n, nil
}

func created(n Namespace) string {
	switch {
	case n.Binding.Backend == "":
		return "model " + n.Model
	case n.DeclaredIn == "":
		return fmt.Sprintf("model %s on %s", n.Model, n.Binding.Backend)
	}
	return fmt.Sprintf("model %s on %s, declared in %s", n.Model, n.Binding.Backend, n.DeclaredIn)
}

// UpdateNamespace lets change work on a copy and stores what comes of it with
// the next revision. Name, revision and times are not change's to set. A change
// that changes nothing leaves no event. ifRevision 0 is any; another than the
// namespace has is VERSION_MISMATCH, with current_revision in its metadata.
//
// change runs on the store's own goroutine and must not call the store.
func (s *Store) UpdateNamespace(ctx context.Context, name string, ifRevision int64, actor, detail string, change func(*Namespace) error) (Namespace, error) {
	var n Namespace
	err := s.writer.write(ctx, "update a namespace", func(t *tx) error {
		old, err := t.namespace(name)
		if err != nil {
			return err
		}
		if ifRevision != 0 && ifRevision != old.Revision {
			return prism.New(prism.ReasonVersionMismatch, "namespace %q has revision %d, not %d", name, old.Revision, ifRevision).
				WithNamespace(prism.Namespace(name)).WithMeta("current_revision", strconv.FormatInt(old.Revision, 10))
		}
		before, err := seal(old)
		if err != nil {
			return err
		}
		// Read again and not copied: change may write into its slices.
		if n, err = t.namespace(name); err != nil {
			return err
		}
		if err := change(&n); err != nil {
			return err
		}
		n.Name, n.Revision, n.CreatedAt, n.UpdatedAt = old.Name, old.Revision, old.CreatedAt, old.UpdatedAt
		if after, err := seal(n); err != nil || after == before {
			return err
		}
		n.Revision++
		n.UpdatedAt = s.now()
		if err := t.putNamespace(n); err != nil {
			return err
		}
		kind := EventUpdated
		if n.Binding != old.Binding {
			kind = EventBound
		}
		return t.putEvent(name, NamespaceEvent{Revision: n.Revision, Time: n.UpdatedAt, Kind: kind, Actor: actor, Detail: detail})
	}, s.notify)
	if err != nil {
		return Namespace{}, err
	}
	return n, nil
}

// SetNamespaceState moves a namespace on in its life. The revision, which is
// the specification's, stays.
func (s *Store) SetNamespaceState(ctx context.Context, name string, state NamespaceState, actor, detail string) (Namespace, error) {
	var n Namespace
	err := s.writer.write(ctx, "change the state of a namespace", func(t *tx) (err error) {
		if n, err = t.namespace(name); err != nil || n.State == state {
			return err
		}
		if n.State == Deleting {
			return prism.New(prism.ReasonNamespaceBusy, "namespace %q is being deleted", name).WithNamespace(prism.Namespace(name))
		}
		event := NamespaceEvent{Revision: n.Revision, Time: s.now(), Kind: EventUpdated, Actor: actor, Detail: "state " + state.String()}
		if state == Deleting {
			event.Kind, event.Detail = EventDeleting, ""
		}
		switch {
		case detail != "" && event.Detail != "":
			event.Detail += ": " + detail
		case detail != "":
			event.Detail = detail
		}
		n.State, n.UpdatedAt = state, event.Time
		if err := t.putNamespace(n); err != nil {
			return err
		}
		return t.putEvent(name, event)
	}, s.notify)
	if err != nil {
		return Namespace{}, err
	}
	return n, nil
}

// RemoveNamespace takes a namespace out of the list; its history stays.
func (s *Store) RemoveNamespace(ctx context.Context, name, actor, detail string) error {
	return s.writer.write(ctx, "remove a namespace", func(t *tx) error {
		n, err := t.namespace(name)
		if err != nil {
			return err
		}
		if err := t.exec("DELETE FROM namespaces WHERE name = ?", name); err != nil {
			return err
		}
		return t.putEvent(name, NamespaceEvent{Revision: n.Revision + 1, Time: s.now(), Kind: EventDeleted, Actor: actor, Detail: detail})
	}, s.notify)
}

// NamespaceHistory lists what happened to a name, the newest first, with the
// position of the next page (empty: none). A name that never was is NOT_FOUND;
// one that was deleted is not.
func (s *Store) NamespaceHistory(ctx context.Context, name string, p Page) (events []NamespaceEvent, next string, err error) {
	before, err := p.before()
	if err != nil {
		return nil, "", err
	}
	var last int64
	err = s.query(ctx, "read the history of a namespace",
		`SELECT id, revision, time, kind, actor, detail FROM namespace_events
		WHERE name = ? AND id < ? ORDER BY id DESC LIMIT ?`, []any{name, before, p.limit() + 1},
		func(rows *sql.Rows) error {
			var e NamespaceEvent
			var id, ms int64
			if err := rows.Scan(&id, &e.Revision, &ms, &e.Kind, &e.Actor, &e.Detail); err != nil {
				return err
			}
			e.Time = fromMillis(ms)
			if len(events) == p.limit() {
				next = strconv.FormatInt(last, 10)
				return nil
			}
			last = id
			events = append(events, e)
			return nil
		})
	if err == nil && len(events) == 0 && p.After == "" {
		return nil, "", prism.NotFound("namespace", name).WithNamespace(prism.Namespace(name))
	}
	return events, next, err
}
