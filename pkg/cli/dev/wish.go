package dev

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/config"
	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/stacks"
)

// A wish is what a person wants beside the gateway, and where it shall listen.
// The command line adds to .prism.yaml and goes before it.
type wish struct {
	With       []string       `json:"with,omitempty"`
	Profile    string         `json:"profile,omitempty"`
	Form       string         `json:"form,omitempty"`
	Ports      map[string]int `json:"ports,omitempty"` // "data", "redis", "dex.telemetry"
	AutoPorts  bool           `json:"auto_ports,omitempty"`
	PortOffset int            `json:"port_offset,omitempty"`

	// Skipped are stacks that the last up could not start here.
	Skipped []string `json:"skipped,omitempty"`
}

// profiles are those that every project has.
func profiles() map[string][]string {
	return map[string][]string{
		"core":          {},
		"redis":         {"redis"},
		"messaging":     {"redis", "nats"},
		"postgres":      {"postgres"},
		"observability": {"otel-collector", "signoz"},
		"full":          stacks.Names(),
	}
}

// profilesOf are the built-in ones and the project's own, which go before them.
func profilesOf(own *config.Project) map[string][]string {
	all := profiles()
	if own != nil {
		maps.Copy(all, own.Profiles)
	}
	return all
}

var forms = []string{string(stacks.FormAuto), string(stacks.FormContainer), string(stacks.FormNative)}

// addFlags gives cmd the flags of a wish, which is in w when check has passed.
func (w *wish) addFlags(cmd *cobra.Command) (check func(own *config.Project) error) {
	var ports []string
	flags := cmd.Flags()
	flags.StringSliceVar(&w.With, "with", nil, "start these `STACKS` too: "+strings.Join(stacks.Names(), ", "))
	cli.Enum(cmd, "with", stacks.Names()...)
	flags.StringVar(&w.Profile, "profile", "", "start the stacks of this `PROFILE`: "+strings.Join(slices.Sorted(maps.Keys(profiles())), ", ")+", or one of .prism.yaml")
	cli.Suggest(cmd, "profile", slices.Sorted(maps.Keys(profiles()))...)
	cli.SetDefault(cmd, "profile", "what .prism.yaml says in with")
	flags.StringVar(&w.Form, "form", string(stacks.FormAuto), "run stacks as `FORM`: auto (in containers where an engine answers), container or native")
	cli.Enum(cmd, "form", forms...)
	flags.StringSliceVar(&ports, "port", nil, "let it listen there: `NAME=PORT`, such as data=9980, redis=6380 or dex.telemetry=5558")
	flags.BoolVar(&w.AutoPorts, "auto-ports", false, "let the system choose free ports, and keep to them")
	flags.IntVar(&w.PortOffset, "port-offset", 0, "add `N` to every port, for a second project beside this one")
	return func(own *config.Project) error {
		if w.AutoPorts && w.PortOffset != 0 {
			return cli.Usage("leave one of them out", "--auto-ports and --port-offset contradict each other")
		}
		if known := profilesOf(own); w.Profile != "" && known[w.Profile] == nil {
			return cli.NotAWord("profile", w.Profile, slices.Sorted(maps.Keys(known)))
		}
		var err error
		w.Ports, err = parsePorts(ports)
		return err
	}
}

func parsePorts(list []string) (map[string]int, error) {
	const right = "write NAME=PORT, such as --port data=9980 or --port redis=6380"
	if len(list) == 0 {
		return nil, nil
	}
	ports := map[string]int{}
	known := append(slices.Clone(sockets), stacks.Names()...)
	for _, text := range list {
		name, number, ok := strings.Cut(text, "=")
		n, err := strconv.Atoi(number)
		if !ok || err != nil || n < 1 || n > 65535 {
			return nil, cli.Usage(right, "--port %q is not a name and a port", text)
		}
		name = strings.TrimPrefix(name, gateway+".")
		if head, _, _ := strings.Cut(name, "."); !slices.Contains(known, head) {
			return nil, cli.Usage(cli.Meant(head, known), "--port names %q, which is not known", head)
		}
		ports[name] = n
	}
	return ports, nil
}

// names are the stacks that are wished for, each once.
func (w *wish) names(own *config.Project) []string {
	var list []string
	switch {
	case w.Profile != "":
		list = append(list, profilesOf(own)[w.Profile]...)
	case own != nil:
		list = append(list, own.With...)
	}
	var names []string
	for _, n := range append(list, w.With...) {
		if !slices.Contains(names, n) {
			names = append(names, n)
		}
	}
	return names
}

// asked reports whether the command line itself names stacks.
func (w *wish) asked() bool { return w.Profile != "" || len(w.With) > 0 }

// stackPorts are the ports of stacks that somebody has chosen.
func (w *wish) stackPorts(own *config.Project) map[string]int {
	ports := map[string]int{}
	if own != nil {
		for name, port := range own.Ports.Stacks {
			if port != config.AutoPort {
				ports[name] = int(port)
			}
		}
	}
	for name, port := range w.Ports {
		if !slices.Contains(sockets, name) {
			ports[name] = port
		}
	}
	return ports
}

// args are the flags that say the same again.
func (w *wish) args() []string {
	var args []string
	for _, name := range w.With {
		args = append(args, "--with", name)
	}
	if w.Profile != "" {
		args = append(args, "--profile", w.Profile)
	}
	if w.Form != "" && w.Form != string(stacks.FormAuto) {
		args = append(args, "--form", w.Form)
	}
	for _, name := range slices.Sorted(maps.Keys(w.Ports)) {
		args = append(args, "--port", fmt.Sprintf("%s=%d", name, w.Ports[name]))
	}
	if w.AutoPorts {
		args = append(args, "--auto-ports")
	}
	if w.PortOffset != 0 {
		args = append(args, fmt.Sprintf("--port-offset=%d", w.PortOffset))
	}
	return args
}

func (p project) wishFile() string { return filepath.Join(p.state, "wish.json") }

// saveWish keeps what this up was asked for, for commands that change a part of
// what runs.
func (p project) saveWish(w wish) error {
	text, err := json.MarshalIndent(w, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(p.wishFile(), append(text, '\n'), 0o600)
}

// lastWish is that of the last up; an empty one if there was none.
func (p project) lastWish() (w wish, err error) {
	text, err := os.ReadFile(p.wishFile())
	if errors.Is(err, fs.ErrNotExist) {
		return w, nil
	}
	if err == nil {
		if err = json.Unmarshal(text, &w); err != nil {
			err = prism.New(prism.ReasonFailedPrecond, "what the last up was asked for cannot be read").WithCause(err)
		}
	}
	return w, cli.WithFix(err, "prismctl dev down, then prismctl dev up")
}
