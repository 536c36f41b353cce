package namespaces_test

import (
	"errors"
	"testing"
	"time"

	"github.com/prism-data-layer/prism/tui"
	"github.com/prism-data-layer/prism/tui/page/namespaces"
	"github.com/prism-data-layer/prism/tui/theme"
	"github.com/prism-data-layer/prism/tui/tuitest"
)

func TestScreens(t *testing.T) {
	t.Parallel()
	for name, view := range map[string]string{"list": "namespaces", "one": "namespace orders"} {
		tuitest.Screens(t, name, func(t *testing.T, mode theme.Mode, w, h int) *tuitest.Screen {
			return tuitest.Open(t, tui.Options{Pages: factories(&gateway{}), View: view, Mode: mode}, w, h).Start().Pass(40)
		})
	}
	for name, draw := range map[string]func(*testing.T) *tuitest.Screen{
		"list-empty": func(t *testing.T) *tuitest.Screen {
			return open(t, &gateway{shape: func(l *namespaces.List) { l.Namespaces = nil }}, "namespaces", 80, 24).Start()
		},
		"list-failed": func(t *testing.T) *tuitest.Screen {
			return open(t, &gateway{err: dead()}, "namespaces", 80, 24).Start()
		},
		"list-forbidden": func(t *testing.T) *tuitest.Screen {
			return open(t, &gateway{err: forbidden()}, "namespaces", 80, 24).Start()
		},
		"list-lost": func(t *testing.T) *tuitest.Screen {
			g := &gateway{}
			s := open(t, g, "namespaces", 80, 24).Start().Pass(3)
			g.err = dead()
			return s.Pass(3)
		},
		"list-no-rates": func(t *testing.T) *tuitest.Screen {
			return open(t, &gateway{shape: func(l *namespaces.List) { l.StatsProblem = forbidden() }}, "namespaces", 80, 24).Start().Pass(2)
		},
		"list-narrow": func(t *testing.T) *tuitest.Screen { return open(t, &gateway{}, "namespaces", 60, 15).Start().Pass(2) },
		"one-narrow": func(t *testing.T) *tuitest.Screen {
			return open(t, &gateway{}, "namespace orders", 60, 15).Start().Pass(2)
		},
		"one-new": func(t *testing.T) *tuitest.Screen {
			return open(t, &gateway{one: func(o *namespaces.One) {
				*o = namespaces.One{Now: o.Now, Namespace: namespaces.Namespace{Name: o.Name, Model: "queue", Backend: "local", State: "provisioning"}, Wanted: "hot", Notes: []string{"the file wishes backend hot; the data is on local"}}
			}}, "namespace mail", 80, 24).Start().Pass(1)
		},
		"one-problems": func(t *testing.T) *tuitest.Screen {
			return open(t, &gateway{one: func(o *namespaces.One) {
				o.Problems = map[namespaces.Part]error{namespaces.PartStats: errors.New("no figures in this build"), namespaces.PartFailures: forbidden(), namespaces.PartHistory: forbidden()}
				o.Failures, o.History = nil, nil
			}}, "namespace orders", 80, 24).Start().Pass(1)
		},
		"one-hostile": func(t *testing.T) *tuitest.Screen {
			return open(t, &gateway{one: func(o *namespaces.One) {
				bad := "evil\x1b[2J\x1b]0;x\a日本שלום\u202e\n"
				o.Description, o.Owners, o.Notes, o.State = bad, []string{bad}, []string{bad}, bad
				o.Sessions = []namespaces.Session{{ID: bad, Principal: bad, Client: bad, Status: bad, Active: o.Now.Add(-time.Hour)}}
				o.History = []namespaces.Event{{Kind: bad, Actor: bad, Detail: bad}}
				o.Failures = []namespaces.Failure{{Method: bad, Reason: bad, Trace: bad}}
			}}, "namespace orders", 120, 40).Start().Pass(1)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := draw(t)
			tuitest.Golden(t, name, s.Frame())
			tuitest.CheckFrame(t, s.Frame(), 120, 40)
		})
	}
}

func TestEverySizeIsDrawn(t *testing.T) {
	t.Parallel()
	for _, view := range []string{"namespaces", "namespace orders"} {
		for _, h := range []int{1, 15, 16, 24, 60, 100} {
			for _, w := range []int{1, 60, 61, 99, 300} {
				tuitest.CheckFrame(t, open(t, &gateway{many: 50}, view, w, h).Start().Pass(2).Frame(), w, h)
			}
		}
	}
}
