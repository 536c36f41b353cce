package control_test

import (
	"errors"
	"reflect"
	"strconv"
	"testing"
	"time"

	"github.com/prism-data-layer/prism/pkg/control"
	"github.com/prism-data-layer/prism/pkg/prism"
)

func full() control.Namespace {
	return control.Namespace{
		Name: "orders", Model: "keyvalue", Backend: "local", Description: "what was bought",
		Needs:      control.Needs{Durability: "strong", TTL: time.Hour, ReadRPS: 1, WriteRPS: 2, SizeBytes: 3},
		Limits:     control.Limits{RequestRPS: 4, Burst: 5, Receipts: 6},
		Access:     control.Access{Owners: []string{"team:shop"}, Consumers: []control.Grant{{Principal: "service:checkout.*", Permissions: []string{"read", "write"}}}},
		DefaultTTL: time.Minute, MaxTTL: time.Hour,
		Binding: control.Binding{Backend: "local", Driver: "pebble"}, DeclaredIn: "prism.yaml:14",
	}
}

func TestNamespaceComesBackAsItWasAfterARestart(t *testing.T) {
	t.Parallel()
	s := open(t)
	made := must[control.Namespace](t)(s.CreateNamespace(t.Context(), full(), "user:ann"))
	want := full()
	want.State, want.Revision, want.CreatedAt, want.UpdatedAt = control.Provisioning, 1, epoch, epoch
	if !reflect.DeepEqual(made, want) {
		t.Fatalf("got %+v\nwant %+v", made, want)
	}
	s.restart(t)
	if got := must[control.Namespace](t)(s.Namespace(t.Context(), "orders")); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
	list := must[[]control.Namespace](t)(s.Namespaces(t.Context()))
	if len(list) != 1 || !reflect.DeepEqual(list[0], want) {
		t.Errorf("list: got %+v", list)
	}
}

func TestNamespaceIsCreatedOnceAndUnderALegalName(t *testing.T) {
	t.Parallel()
	s := open(t)
	must[control.Namespace](t)(s.CreateNamespace(t.Context(), full(), "dev"))
	_, err := s.CreateNamespace(t.Context(), full(), "dev")
	wantReason(t, err, prism.ReasonAlreadyExists)
	for _, name := range []string{"", "A", "a/../b", "a\x00b", "__system", "é"} {
		_, err := s.CreateNamespace(t.Context(), control.Namespace{Name: name}, "dev")
		wantReason(t, err, prism.ReasonInvalidArgument)
	}
	_, err = s.Namespace(t.Context(), "absent")
	wantReason(t, err, prism.ReasonNotFound)
}

func TestUpdateKeepsWhatIsNotItsToSet(t *testing.T) {
	t.Parallel()
	s := open(t)
	must[control.Namespace](t)(s.CreateNamespace(t.Context(), full(), "dev"))
	s.clock.Advance(time.Second)
	n := must[control.Namespace](t)(s.UpdateNamespace(t.Context(), "orders", 1, "user:ann", "limits", func(n *control.Namespace) error {
		n.Limits.RequestRPS = 100
		n.Name, n.Revision, n.CreatedAt = "other", 77, time.Time{}
		return nil
	}))
	want := full()
	want.Limits.RequestRPS = 100
	want.State, want.Revision, want.CreatedAt, want.UpdatedAt = control.Provisioning, 2, epoch, epoch.Add(time.Second)
	if !reflect.DeepEqual(n, want) {
		t.Errorf("got %+v\nwant %+v", n, want)
	}

	_, err := s.UpdateNamespace(t.Context(), "orders", 1, "dev", "", func(*control.Namespace) error { return nil })
	wantReason(t, err, prism.ReasonVersionMismatch)
	if got := prism.From(err).Meta["current_revision"]; got != "2" {
		t.Errorf("got current_revision %q, want 2", got)
	}
	refused := errors.New("no")
	_, err = s.UpdateNamespace(t.Context(), "orders", 0, "dev", "", func(n *control.Namespace) error {
		n.Access.Owners[0] = "team:evil"
		return prism.New(prism.ReasonDeclaredInFile, "declared").WithCause(refused)
	})
	wantReason(t, err, prism.ReasonDeclaredInFile)
	_, err = s.UpdateNamespace(t.Context(), "absent", 0, "dev", "", func(*control.Namespace) error { return nil })
	wantReason(t, err, prism.ReasonNotFound)
	if got := must[control.Namespace](t)(s.Namespace(t.Context(), "orders")); !reflect.DeepEqual(got, want) {
		t.Errorf("after refusals: got %+v\nwant %+v", got, want)
	}
}

func TestChangeThatChangesNothingLeavesNoEvent(t *testing.T) {
	t.Parallel()
	s := open(t)
	must[control.Namespace](t)(s.CreateNamespace(t.Context(), full(), "dev"))
	n := must[control.Namespace](t)(s.UpdateNamespace(t.Context(), "orders", 0, "file", "", func(n *control.Namespace) error {
		n.Limits = full().Limits
		return nil
	}))
	if n.Revision != 1 {
		t.Errorf("got revision %d, want 1", n.Revision)
	}
	events, _, err := s.NamespaceHistory(t.Context(), "orders", control.Page{})
	if err != nil || len(events) != 1 {
		t.Errorf("got %d events (%v), want 1", len(events), err)
	}
}

func TestHistoryOutlivesTheNamespaceAndRevisionsOnlyGrow(t *testing.T) {
	t.Parallel()
	s := open(t)
	ctx := t.Context()
	must[control.Namespace](t)(s.CreateNamespace(ctx, full(), "user:ann"))
	must[control.Namespace](t)(s.SetNamespaceState(ctx, "orders", control.Active, "gateway", "opened"))
	must[control.Namespace](t)(s.SetNamespaceState(ctx, "orders", control.Active, "gateway", "again"))
	must[control.Namespace](t)(s.UpdateNamespace(ctx, "orders", 0, "user:bob", "description", func(n *control.Namespace) error {
		n.Description = "sold"
		return nil
	}))
	must[control.Namespace](t)(s.UpdateNamespace(ctx, "orders", 0, "user:bob", "moved", func(n *control.Namespace) error {
		n.Binding.Backend = "cache-1"
		return nil
	}))
	must[control.Namespace](t)(s.SetNamespaceState(ctx, "orders", control.Deleting, "user:ann", ""))
	_, err := s.SetNamespaceState(ctx, "orders", control.Active, "gateway", "")
	wantReason(t, err, prism.ReasonNamespaceBusy)
	_, err = s.CreateNamespace(ctx, full(), "dev")
	wantReason(t, err, prism.ReasonNamespaceBusy)
	if err := s.RemoveNamespace(ctx, "orders", "user:ann", "data dropped"); err != nil {
		t.Fatal(err)
	}
	wantReason(t, s.RemoveNamespace(ctx, "orders", "user:ann", ""), prism.ReasonNotFound)
	_, err = s.SetNamespaceState(ctx, "orders", control.Active, "gateway", "")
	wantReason(t, err, prism.ReasonNotFound)
	_, err = s.Namespace(ctx, "orders")
	wantReason(t, err, prism.ReasonNotFound)

	again := full()
	again.DeclaredIn, again.Binding = "", control.Binding{}
	n := must[control.Namespace](t)(s.CreateNamespace(ctx, again, "user:ann"))
	if n.Revision != 5 {
		t.Errorf("got revision %d, want 5: one above the deletion's", n.Revision)
	}
	if n.State.String() != "Provisioning" || control.NamespaceState(99).String() != "Unknown" {
		t.Errorf("got state %s", n.State)
	}

	want := []control.NamespaceEvent{
		{Revision: 5, Time: epoch, Kind: control.EventCreated, Actor: "user:ann", Detail: "model keyvalue"},
		{Revision: 4, Time: epoch, Kind: control.EventDeleted, Actor: "user:ann", Detail: "data dropped"},
		{Revision: 3, Time: epoch, Kind: control.EventDeleting, Actor: "user:ann"},
		{Revision: 3, Time: epoch, Kind: control.EventBound, Actor: "user:bob", Detail: "moved"},
		{Revision: 2, Time: epoch, Kind: control.EventUpdated, Actor: "user:bob", Detail: "description"},
		{Revision: 1, Time: epoch, Kind: control.EventUpdated, Actor: "gateway", Detail: "state Active: opened"},
		{Revision: 1, Time: epoch, Kind: control.EventCreated, Actor: "user:ann", Detail: "model keyvalue on local, declared in prism.yaml:14"},
	}
	for _, limit := range []int{0, 1, 2, 3, 7} {
		var got []control.NamespaceEvent
		for page := (control.Page{Limit: limit}); ; {
			events, next, err := s.NamespaceHistory(ctx, "orders", page)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, events...)
			if page.After = next; next == "" {
				break
			}
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("pages of %d: got %+v\nwant %+v", limit, got, want)
		}
	}
	_, _, err = s.NamespaceHistory(ctx, "never", control.Page{})
	wantReason(t, err, prism.ReasonNotFound)
	for _, cursor := range []string{"x", "-1", "0", "99999999999999999999"} {
		_, _, err = s.NamespaceHistory(ctx, "orders", control.Page{After: cursor})
		wantReason(t, err, prism.ReasonInvalidCursor)
	}
}

func TestChangesAreToldToEveryListener(t *testing.T) {
	t.Parallel()
	s := open(t)
	ctx := t.Context()
	step := func(what string, change func() error) {
		t.Helper()
		a, b := s.Changes(), s.Changes()
		select {
		case <-a:
			t.Fatalf("%s: told before it happened", what)
		default:
		}
		if err := change(); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		<-a
		<-b
	}
	step("create", func() error { _, err := s.CreateNamespace(ctx, full(), "dev"); return err })
	step("state", func() error { _, err := s.SetNamespaceState(ctx, "orders", control.Active, "dev", ""); return err })
	step("update", func() error {
		_, err := s.UpdateNamespace(ctx, "orders", 0, "dev", "", func(n *control.Namespace) error { n.Description = strconv.Itoa(1); return nil })
		return err
	})
	step("remove", func() error { return s.RemoveNamespace(ctx, "orders", "dev", "") })
}
