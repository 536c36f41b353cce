package tui_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/tui"
	"github.com/prism-data-layer/prism/tui/page/overview"
	"github.com/prism-data-layer/prism/tui/theme"
	"github.com/prism-data-layer/prism/tui/tuitest"
)

// The golden files are made by go test ./tui -update.
func TestScreens(t *testing.T) {
	t.Parallel()
	sizes := [][2]int{{80, 24}, {120, 40}}
	modes := map[string]theme.Mode{"dark": theme.Dark, "light": theme.Light, "mono": theme.Mono}
	for _, size := range sizes {
		for word, mode := range modes {
			t.Run(fmt.Sprintf("live-%dx%d-%s", size[0], size[1], word), func(t *testing.T) {
				t.Parallel()
				s := open(t, &gateway{}, size[0], size[1], func(o *tui.Options) { o.Mode = mode }).Start().Pass(70)
				tuitest.Golden(t, fmt.Sprintf("live-%dx%d-%s", size[0], size[1], word), s.Frame())
			})
		}
	}
	for name, draw := range map[string]func() string{
		"connecting": func() string { return open(t, &gateway{}, 80, 24, nil).Frame() },
		"first-answer": func() string {
			return open(t, &gateway{}, 80, 24, nil).Start().Frame()
		},
		"failed-first": func() string { return open(t, &gateway{err: dead()}, 80, 24, nil).Start().Frame() },
		"failed-later": func() string {
			g := &gateway{}
			s := open(t, g, 80, 24, nil).Start().Pass(5)
			g.err = dead()
			return s.Pass(4).Frame()
		},
		"empty": func() string {
			return open(t, &gateway{quiet: true, shape: func(s *overview.Snapshot) {
				s.Namespaces, s.Backends, s.Sessions, s.More = nil, nil, nil, nil
			}}, 80, 24, nil).Start().Pass(2).Frame()
		},
		"problems": func() string {
			return open(t, &gateway{shape: func(s *overview.Snapshot) {
				s.Notice = "prism.yaml:14:3: unknown key \"bakend\"; the configuration before is in force"
				s.Sessions = nil
				s.Problems = map[overview.Part]error{
					overview.PartSessions: prism.New(prism.ReasonPermissionDenied, "you may not list sessions"),
					overview.PartStats:    errors.New("no figures in this build"),
				}
			}}, 80, 24, func(o *tui.Options) { o.Protected, o.Context = true, "prod" }).Start().Pass(2).Frame()
		},
		"maintenance": func() string {
			return open(t, &gateway{shape: func(s *overview.Snapshot) {
				s.Maintenance = &overview.Maintenance{Refuses: "writes", Message: "the disk is \x1b[2Jchanged", Ends: noon().Add(time.Hour)}
			}}, 80, 24, func(o *tui.Options) { o.Mode = theme.Dark }).Start().Pass(2).Frame()
		},
		"smallest":  func() string { return open(t, &gateway{}, 60, 15, nil).Start().Pass(3).Frame() },
		"too-small": func() string { return open(t, &gateway{}, 50, 12, nil).Start().Frame() },
		"help":      func() string { return open(t, &gateway{}, 80, 24, nil).Start().Keys("?").Frame() },
		"filter": func() string {
			return open(t, &gateway{}, 80, 24, nil).Start().Pass(1).Keys("/", "!", "o", "r").Frame()
		},
		"sessions": func() string { return open(t, &gateway{}, 80, 24, nil).Start().Pass(1).Keys("3", "s").Frame() },
		"ascii": func() string {
			return open(t, &gateway{}, 80, 24, func(o *tui.Options) { o.Charset = theme.ASCII }).Start().Pass(30).Frame()
		},
		"block": func() string {
			return open(t, &gateway{}, 80, 24, func(o *tui.Options) { o.Charset = theme.Block }).Start().Pass(30).Frame()
		},
	} {
		t.Run(name, func(t *testing.T) { tuitest.Golden(t, name, draw()) })
	}
}
