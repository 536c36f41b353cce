package namespaces

import (
	"context"
	"fmt"
	"strings"

	tea "charm.land/bubbletea/v2"

	"github.com/prism-data-layer/prism/tui/component/figure"
	"github.com/prism-data-layer/prism/tui/component/text"
	"github.com/prism-data-layer/prism/tui/keys"
	"github.com/prism-data-layer/prism/tui/page"
)

// What can be done with a namespace, in the list and on its own page.
const (
	actOpen     keys.Action = "open"
	actDescribe keys.Action = "describe"
	actCreate   keys.Action = "create"
	actEdit     keys.Action = "edit"
	actMove     keys.Action = "move"
	actAbort    keys.Action = "abort-move"
	actDelete   keys.Action = "delete"
)

func changes() keys.Table {
	return keys.Table{
		{Action: actEdit, Keys: []string{"e"}, Label: "edit", Help: "edit the namespace as YAML in your editor", Changes: true},
		{Action: actMove, Keys: []string{"v"}, Label: "move", Help: "move the namespace with its data to another backend", Changes: true},
		{Action: actAbort, Keys: []string{"A"}, Help: "end a move that has not switched yet", Changes: true},
		{Action: actDelete, Keys: []string{"x"}, Label: "delete", Help: "delete the namespace and all its data, after asking", Changes: true},
	}
}

// change performs one of changes; nil for any other action.
func change(e page.Env, s Source, a keys.Action, n Namespace) tea.Cmd {
	switch a {
	case actEdit:
		return page.Do(edit(s, n.Name))
	case actMove:
		return page.Do(move(e, s, n))
	case actAbort:
		return page.Do(page.Ask{
			Title: "Abort the move of " + text.Clean(n.Name), Verb: "Abort", Name: n.Name,
			Lines: []string{"Everything stays where it is, and what was copied is dropped."},
			Job:   e.Job(s, []string{"namespace", "move", n.Name, "--abort"}),
		})
	case actDelete:
		return page.Do(remove(e, s, n))
	}
	return nil
}

// remove asks before a namespace is deleted, and says what would be lost.
func remove(e page.Env, s Source, n Namespace) page.Ask {
	holds := "All its data on " + text.Clean(n.Backend) + " is lost."
	if n.Known {
		about := ""
		if n.Estimated {
			about = "some "
		}
		holds = fmt.Sprintf("Lost: %s%s keys, %s on %s.", about, figure.Count(n.Keys), figure.Bytes(n.Bytes), text.Clean(n.Backend))
	}
	lines := []string{holds}
	if n.Sessions+n.Streams > 0 {
		lines = append(lines, fmt.Sprintf("It is in use: %s, %s. Their calls will fail.", figure.Many(n.Sessions, "session"), figure.Many(n.Streams, "stream")))
	}
	return page.Ask{
		Title: "Delete namespace " + text.Clean(n.Name), Verb: "Delete", Name: n.Name,
		Lines: append(lines, "It cannot be undone. The history is kept."),
		Job:   e.Job(s, []string{"namespace", "delete", n.Name}, "--yes"),
	}
}

// edit opens the namespace as a file that prismctl apply takes: the gateway
// checks it, and what it refuses is opened again.
func edit(s Source, name string) page.Edit {
	return page.Edit{
		Name: name + ".yaml",
		Text: func(ctx context.Context) (string, error) {
			return s.Run(ctx, []string{"export", "namespace", name, "-o", "yaml"}, "", nil)
		},
		Apply: func(ctx context.Context, text string) (string, error) {
			return s.Run(ctx, []string{"apply", "-f", "-"}, text, nil)
		},
	}
}

// move asks where to.
func move(e page.Env, s Source, n Namespace) page.Form {
	args := func(v map[string]string) []string {
		a := []string{"namespace", "move", n.Name, "--to", chosen(v["to"])}
		if v["fewer"] == "yes" {
			a = append(a, "--allow-fewer")
		}
		if keep := v["keep"]; keep != "" && keep != "10m" {
			a = append(a, "--keep-source", keep)
		}
		return a
	}
	return page.Form{
		Title: fmt.Sprintf("Move namespace %s, now on %s", text.Clean(n.Name), text.Clean(n.Backend)), Verb: "Move",
		Fields: []page.Field{
			{
				Name: "to", Label: "To backend", Help: "it is copied while it is used: no call fails", Required: true,
				Choices: func(ctx context.Context, _ map[string]string) ([]string, error) {
					all, err := s.Homes(ctx, Wish{Name: n.Name, Model: n.Model, Move: true})
					return options(all, n.Backend), err
				},
			},
			{Name: "fewer", Label: "Fewer abilities", Help: "whether it may lose what the other backend cannot do", Value: "no", Options: []string{"no", "yes"}},
			{Name: "keep", Label: "Keep the source", Help: "how long the data that was left is kept for watchers who were away", Value: "10m"},
		},
		Check: func(v map[string]string) map[string]string {
			problems := map[string]string{}
			checkBackend(problems, "to", v["to"])
			checkDuration(problems, "keep", v["keep"])
			return problems
		},
		Command: func(v map[string]string) string { return e.Line(args(v)...) },
		Do: func(ctx context.Context, v map[string]string, say func(string)) (string, error) {
			out, err := s.Run(ctx, args(v), "", say)
			return strings.TrimSpace(out), err
		},
	}
}
