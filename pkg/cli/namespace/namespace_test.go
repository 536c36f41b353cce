package namespace_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/cli/clitest"
	"github.com/prism-data-layer/prism/pkg/clock"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
)

func TestWhatIsPrinted(t *testing.T) {
	for name, args := range map[string][]string{
		"help":             {"namespace", "--help"},
		"help-update":      {"namespace", "update", "--help"},
		"list":             {"namespace", "list"},
		"list-wide":        {"namespace", "list", "-o", "wide", "--utc"},
		"list-json":        {"namespace", "list", "-o", "json", "--limit", "1"},
		"list-yaml":        {"namespace", "list", "-o", "yaml", "--limit", "1"},
		"list-csv":         {"namespace", "list", "-o", "csv"},
		"list-name":        {"namespace", "list", "--quiet"},
		"list-backend":     {"namespace", "list", "--backend", "none"},
		"list-sorted":      {"namespace", "list", "--sort-by", "-keys", "--no-headers"},
		"describe":         {"namespace", "describe", "kv"},
		"describe-notes":   {"namespace", "describe", "scratch"},
		"describe-missing": {"namespace", "describe", "orders"},
		"describe-json":    {"namespace", "describe", "orders", "-o", "json"},
		"create":           {"namespace", "create", "orders", "--backend", "volatile", "--default-ttl", "30m", "--max-ttl", "30d", "--owner", "team:shop", "--grant", "service:checkout.*=read,write", "--request-rps", "100", "--durability", "relaxed"},
		"create-json":      {"namespace", "create", "orders", "-o", "json", "--json", "name,state"},
		"create-existing":  {"namespace", "create", "kv"},
		"create-bad":       {"namespace", "create", "Bad_Name"},
		"create-dry":       {"namespace", "create", "orders", "--dry-run"},
		"create-grant":     {"namespace", "create", "orders", "--grant", "service:checkout=admin"},
		"create-no-grant":  {"namespace", "create", "orders", "--grant", "service:checkout"},
		"create-ttl":       {"namespace", "create", "orders", "--default-ttl", "soon"},
		"create-queue":     {"namespace", "create", "jobs", "--model", "queue", "--auto-create=false", "--default-kind", "log", "-o", "json"},
		"create-cache":     {"namespace", "create", "hot", "--model", "cache"},
		"create-work":      {"namespace", "create", "jobs", "--model", "queue"},
		"create-log":       {"namespace", "create", "jobs", "--model", "queue", "--auto-create=false", "--default-kind", "log"},
		"create-pubsub":    {"namespace", "create", "news", "--model", "pubsub"},
		"create-series":    {"namespace", "create", "metrics", "--model", "timeseries", "--retention", "30d"},
		"update-queue":     {"namespace", "update", "kv", "--auto-create=false", "--default-kind", "work"},
		"update":           {"namespace", "update", "kv", "--description", "new", "--request-rps", "10", "--burst", "5", "--add-owner", "user:ann", "--remove-owner", "user:dev", "--grant", "service:a=read"},
		"update-dry":       {"namespace", "update", "kv", "--max-ttl", "1d", "--default-ttl", "1h", "--durability", "relaxed", "--revoke", "service:a", "--dry-run"},
		"update-nothing":   {"namespace", "update", "kv"},
		"update-missing":   {"namespace", "update", "orders", "--description", "x"},
		"update-conflict":  {"namespace", "update", "kv", "--description", "x", "--if-revision", "2"},
		"delete":           {"namespace", "delete", "scratch", "--yes"},
		"delete-dry":       {"namespace", "delete", "scratch", "--dry-run"},
		"delete-missing":   {"namespace", "delete", "orders", "--yes"},
		"delete-no-wait":   {"namespace", "delete", "scratch", "--yes", "--no-wait"},
		"move":             {"namespace", "move", "kv", "--to", "volatile"},
		"move-json":        {"namespace", "move", "kv", "--to", "volatile", "--keep-source", "1h", "--rate", "1000", "-o", "json"},
		"move-dry":         {"namespace", "move", "kv", "--to", "volatile", "--dry-run"},
		"move-fewer":       {"namespace", "move", "kv", "--to", "narrow"},
		"move-allow-fewer": {"namespace", "move", "kv", "--to", "narrow", "--allow-fewer", "--no-wait"},
		"move-missing":     {"namespace", "move", "orders", "--to", "volatile"},
		"move-nowhere":     {"namespace", "move", "kv"},
		"move-abort":       {"namespace", "move", "kv", "--abort"},
		"history":          {"namespace", "history", "kv"},
		"history-missing":  {"namespace", "history", "nothing"},
		"history-limit":    {"namespace", "history", "kv", "--limit", "1"},
	} {
		t.Run(name, func(t *testing.T) {
			r := clitest.New(t)
			if strings.HasPrefix(name, "delete") || strings.HasPrefix(name, "create") || strings.HasPrefix(name, "update") || strings.HasPrefix(name, "move") {
				pair(t, name, args)
				return
			}
			r.Golden(name, args...)
		})
	}
}

// pair compares a change on a fresh gateway for the pipe and for the terminal.
func pair(t *testing.T, name string, args []string) {
	t.Helper()
	r := clitest.New(t)
	r.Each = func() { r.Refresh() }
	r.Golden(name, args...)
}

func TestDeleteAsksAndNoIsTheDefault(t *testing.T) {
	r := clitest.New(t)
	r.TTY = true
	for answer, code := range map[string]int{"": 1, "\n": 1, "n\n": 1, "maybe\n": 1, "y\n": 0} {
		r.Refresh()
		r.Stdin = answer
		got := r.Run("namespace", "delete", "scratch")
		if got.Code != code {
			t.Errorf("answer %q: exit %d, want %d\n%s", answer, got.Code, code, got.ErrOut)
		}
		if !strings.Contains(got.ErrOut, "delete namespace scratch and all its data in 127.0.0.1:8980? [y/N]") {
			t.Errorf("the question is not asked:\n%s", got.ErrOut)
		}
		if deleted := slices.Contains(r.Gateway.Calls(), "DeleteNamespace"); deleted != (code == 0) {
			t.Errorf("answer %q: deleted is %v", answer, deleted)
		}
	}
}

func TestAProtectedContextAsksForTheName(t *testing.T) {
	r := clitest.New(t)
	r.TTY = true
	r.Write(".config/prism/config.yaml", "apiVersion: prism/v1\nkind: User\ncurrent: prod\ncontexts:\n  - name: prod\n    protected: true\n")
	r.Stdin = "y\n"
	r.Want(1, []string{"in prod, which is protected? Type scratch:", "not confirmed"}, "namespace", "delete", "scratch")
	r.Stdin = "scratch\n"
	r.Want(0, nil, "namespace", "delete", "scratch")
}

func TestDeleteNeverAsksWhereNobodyCanAnswer(t *testing.T) {
	r := clitest.New(t)
	r.Want(2, []string{"pass --yes"}, "namespace", "delete", "kv")
	r.TTY = true
	r.Want(2, []string{"pass --yes"}, "namespace", "delete", "kv", "--no-input")
	r.Env["CI"] = "true"
	r.Want(2, []string{"pass --yes"}, "namespace", "delete", "kv")
}

func TestDeleteWaitsForTheOperationAndTellsItsFailure(t *testing.T) {
	r := clitest.New(t)
	fake := clock.NewFake(r.Gateway.Now())
	r.Prepare = func(f *cli.Factory) { f.Clock = fake }
	op := &adminv1.Operation{OperationId: "op-1", Kind: "namespace.delete", State: adminv1.OperationState_OPERATION_STATE_RUNNING}
	r.Gateway.SetOperation(op)
	done := make(chan clitest.Result)
	go func() { done <- r.Run("namespace", "delete", "kv", "--yes") }()
	for asked := 0; asked < 2; asked++ {
		for fake.Timers() == 0 {
			select {
			case got := <-done:
				t.Fatalf("it did not wait: %+v", got)
			default:
			}
		}
		if asked == 1 {
			r.Gateway.SetOperation(&adminv1.Operation{OperationId: "op-1", State: adminv1.OperationState_OPERATION_STATE_FAILED, Message: "disk on fire"})
		}
		fake.Advance(clitest.Second)
	}
	got := <-done
	if got.Code != 5 || !strings.Contains(got.ErrOut, "disk on fire") {
		t.Errorf("got exit %d, want 5 and the message:\n%s", got.Code, got.ErrOut)
	}
}

func TestMoveTellsItsPhasesAndItsFailure(t *testing.T) {
	r := clitest.New(t)
	fake := clock.NewFake(r.Gateway.Now())
	r.Prepare = func(f *cli.Factory) { f.Clock = fake }
	running := func(phase string) *adminv1.Operation {
		return &adminv1.Operation{
			OperationId: "op-2", Kind: "namespace.move", State: adminv1.OperationState_OPERATION_STATE_RUNNING,
			Move: &adminv1.MoveProgress{Phase: phase},
		}
	}
	r.Gateway.SetOperation(running("copying"))
	done := make(chan clitest.Result)
	go func() { done <- r.Run("namespace", "move", "kv", "--to", "volatile") }()
	for asked := 0; asked < 3; asked++ {
		for fake.Timers() == 0 {
			select {
			case got := <-done:
				t.Fatalf("it did not wait: %+v", got)
			default:
			}
		}
		switch asked {
		case 1:
			r.Gateway.SetOperation(running("verifying"))
		case 2:
			r.Gateway.SetOperation(&adminv1.Operation{OperationId: "op-2", State: adminv1.OperationState_OPERATION_STATE_FAILED, Message: "2 keys are not the same"})
		}
		fake.Advance(clitest.Second)
	}
	got := <-done
	for _, want := range []string{"to backend volatile: copying", "to backend volatile: verifying", "moving namespace kv failed: 2 keys are not the same"} {
		if got.Code != 5 || !strings.Contains(got.ErrOut, want) {
			t.Errorf("got exit %d, want 5 and %q:\n%s", got.Code, want, got.ErrOut)
		}
	}
}

func TestListWalksAllPagesAndStopsAtTheLimit(t *testing.T) {
	r := clitest.New(t)
	r.Gateway.Change(func(s *clitest.State) {
		for range 1200 {
			*s.Namespaces = append(*s.Namespaces, &adminv1.Namespace{Spec: &adminv1.NamespaceSpec{Name: "many"}})
		}
	})
	if n := len(strings.Fields(r.OK("namespace", "list", "-q"))); n != 1202 {
		t.Errorf("listed %d, want 1202", n)
	}
	got := r.Want(0, []string{"the first 600", "--limit N"}, "namespace", "list", "--no-headers", "--limit", "600")
	if n := strings.Count(got.Out, "\n"); n != 600 {
		t.Errorf("listed %d, want 600", n)
	}
}
