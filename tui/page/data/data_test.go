package data

import (
	"context"
	"errors"
	"flag"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/tui"
	"github.com/prism-data-layer/prism/tui/keys"
	"github.com/prism-data-layer/prism/tui/page"
	"github.com/prism-data-layer/prism/tui/theme"
	"github.com/prism-data-layer/prism/tui/tuitest"
)

var _ = flag.Bool("update", false, "write the golden files anew")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type store struct {
	list []Namespace
	err  error
}

func (s *store) Run(_ context.Context, args []string, _ string, _ func(string)) (string, error) {
	return "printed by " + strings.Join(args, " ") + "\n", nil
}

func (s *store) Namespaces(context.Context) ([]Namespace, error) { return s.list, s.err }

func (s *store) Model(_ context.Context, name string) (string, error) {
	for _, n := range s.list {
		if n.Name == name {
			return n.Model, s.err
		}
	}
	return "", prism.NotFound("namespace", name)
}

func shop() *store {
	return &store{list: []Namespace{
		{Name: "orders", Model: "queue", Backend: "local", State: "active", Keys: 12, Bytes: 4096, Known: true},
		{Name: "carts", Model: "keyvalue", Backend: "local", State: "active", Keys: 1_204_331, Bytes: 512 << 20, Known: true, Estimated: true},
		{Name: "evil\x1b[2J日本", Model: "keyvalue", Backend: "volatile", State: "degraded"},
		{Name: "faces", Model: "vector", Backend: "volatile", State: "active"},
	}}
}

// keyvalue stands for the page of a model.
func keyvalue() page.Factory {
	return page.Factory{Name: "keyvalue", New: func(e page.Env, arg string) page.Page {
		return New(e, &store{list: []Namespace{{Name: "the keys of " + arg, State: "active"}}}, nil)
	}}
}

func open(t testing.TB, s *store, view string, mode theme.Mode, w, h int) *tuitest.Screen {
	return tuitest.Open(t, tui.Options{Pages: []page.Factory{Factory(s, Models{"keyvalue": keyvalue()})}, View: view, Mode: mode}, w, h).Start()
}

func TestScreens(t *testing.T) {
	t.Parallel()
	tuitest.Screens(t, "data", func(t *testing.T, mode theme.Mode, w, h int) *tuitest.Screen {
		return open(t, shop(), "data", mode, w, h)
	})
	for name, draw := range map[string]func() *tuitest.Screen{
		"empty":  func() *tuitest.Screen { return open(t, &store{}, "data", theme.Mono, 80, 24) },
		"failed": func() *tuitest.Screen { return open(t, &store{err: errors.New("away")}, "data", theme.Mono, 80, 24) },
		"absent": func() *tuitest.Screen { return open(t, shop(), "data nothing", theme.Mono, 80, 24) },
		"model":  func() *tuitest.Screen { return open(t, shop(), "data faces", theme.Mono, 80, 24) },
	} {
		t.Run(name, func(t *testing.T) { tuitest.Golden(t, name, draw().Frame()) })
	}
}

func TestTheDoorIsThePageOfTheModel(t *testing.T) {
	t.Parallel()
	sc := open(t, shop(), "data", theme.Mono, 100, 30)
	sc.Keys("enter").Wants("data › data carts", "the keys of carts")
	sc.Keys("/").Type("nothing").Keys("enter").Wants("0/1")
	sc.Keys("esc", "q").Wants("evil", "faces").Lacks("the keys of")
	sc.Keys("G", "enter").Wants("there is no page for vector yet")
}

func TestAGatewayThatComesBackOpensTheDoor(t *testing.T) {
	t.Parallel()
	s := shop()
	s.err = prism.New(prism.ReasonUnavailable, "cannot reach the gateway")
	sc := open(t, s, "data carts", theme.Mono, 100, 30).Wants("cannot reach the gateway").Keys("c", "j", "p", "p")
	s.err = nil
	sc.Pass(3).Wants("the keys of carts")
}

func TestNoKeyMeansTwoThings(t *testing.T) {
	t.Parallel()
	if c := keys.Conflicts(keys.Global(), New(tuitest.Env(), shop(), nil).Keys()); c != nil {
		t.Error(c)
	}
}

func TestARowIsCopiedAsItsCommandPrintsIt(t *testing.T) {
	t.Parallel()
	s := open(t, shop(), "data", theme.Mono, 100, 24).Keys("Y")
	if want := "printed by namespace describe carts -o yaml\n"; len(s.Copied) != 1 || s.Copied[0] != want {
		t.Errorf("copied %q, want %q", s.Copied, want)
	}
}
