package dev

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/iostreams"
	"github.com/prism-data-layer/prism/pkg/supervise"
)

type graphOptions struct {
	IO      *iostreams.IOStreams
	Project func() (project, error)
	Up      *upOptions // what up would do

	Format   string
	Critical bool
}

var graphFormats = []string{"text", "dot", "json"}

func newGraph(f *cli.Factory, run func(context.Context, *graphOptions) error) *cobra.Command {
	o := &graphOptions{IO: f.IO, Project: func() (project, error) { return find(f) }, Up: upOf(f)}
	cmd := &cobra.Command{
		Use:     "graph",
		Short:   "Show which service waits for which",
		Long:    "Shows what must be ready before what: of what runs, or of what dev up would start. --critical shows\nonly the chain that made the start as long as it was. -o is text, dot (for Graphviz) or json.",
		Example: "  prismctl dev graph\n  prismctl dev graph --critical\n  prismctl dev graph -o dot",
		Args:    cli.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.Format = graphFormats[0]
			if cmd.Flags().Changed("output") {
				o.Format = f.Globals.Output
			}
			if !slices.Contains(graphFormats, o.Format) {
				return cli.Usage("use one of: "+strings.Join(graphFormats, ", "), "dev graph does not print %q", o.Format)
			}
			return run(cmd.Context(), o)
		},
	}
	cmd.Flags().BoolVar(&o.Critical, "critical", false, "show only the chain that took longest to be ready")
	return cmd
}

// A node is a service in the graph.
type node struct {
	Name    string   `json:"name"`
	State   string   `json:"state,omitempty"` // none: nothing runs
	ReadyMS int64    `json:"ready_ms,omitempty"`
	After   []string `json:"after"`
}

func runGraph(ctx context.Context, o *graphOptions) error {
	p, err := o.Project()
	if err != nil {
		return err
	}
	nodes, err := o.nodes(ctx, p)
	if err != nil {
		return err
	}
	if o.Critical {
		nodes = critical(nodes)
	}
	switch o.Format {
	case "json":
		enc := json.NewEncoder(o.IO.Out)
		enc.SetIndent("", "  ")
		return enc.Encode(nodes)
	case "dot":
		_, err = o.IO.Out.Write([]byte(dot(nodes)))
	default:
		_, err = o.IO.Out.Write([]byte(tree(nodes, o.IO.UTF8())))
	}
	return err
}

// nodes are the services that run; where nothing runs, those of the plan.
func (o *graphOptions) nodes(ctx context.Context, p project) (nodes []node, err error) {
	st, err := p.status(ctx)
	if err != nil {
		return nil, err
	}
	if st.Running {
		for _, s := range st.Services {
			nodes = append(nodes, node{s.Name, string(s.State), s.ReadyMS, append([]string{}, s.After...)})
		}
		return nodes, nil
	}
	pl, err := makePlan(ctx, o.Up, p)
	if err != nil {
		return nil, err
	}
	for _, s := range pl.specs {
		nodes = append(nodes, node{Name: s.Name, After: append([]string{}, s.After...)})
	}
	return nodes, nil
}

// critical is the chain of services, first to last, whose times to be ready
// add up to most.
func critical(nodes []node) []node {
	byName := map[string]node{}
	for _, n := range nodes {
		byName[n.Name] = n
	}
	type path struct {
		took  int64
		chain []node
	}
	known := map[string]path{}
	var longest func(name string) path
	longest = func(name string) path {
		if p, ok := known[name]; ok {
			return p
		}
		n, ok := byName[name]
		if !ok {
			return path{}
		}
		var best path
		for _, before := range n.After {
			if p := longest(before); p.took > best.took || len(p.chain) > len(best.chain) && p.took == best.took {
				best = p
			}
		}
		mine := path{best.took + n.ReadyMS, append(slices.Clone(best.chain), n)}
		known[name] = mine
		return mine
	}
	var best path
	for _, n := range nodes {
		if p := longest(n.Name); p.took > best.took || len(p.chain) > len(best.chain) && p.took == best.took {
			best = p
		}
	}
	for i := range best.chain { // of the chain, only the chain
		after := []string{}
		if i > 0 {
			after = append(after, best.chain[i-1].Name)
		}
		best.chain[i].After = after
	}
	return best.chain
}

func dot(nodes []node) string {
	var b strings.Builder
	b.WriteString("digraph dev {\n  rankdir=LR;\n")
	for _, n := range nodes {
		label := n.Name
		if n.State != "" {
			label += "\\n" + n.State
		}
		fmt.Fprintf(&b, "  %q [label=\"%s\"];\n", n.Name, label)
	}
	for _, n := range nodes {
		for _, before := range n.After {
			fmt.Fprintf(&b, "  %q -> %q;\n", before, n.Name)
		}
	}
	b.WriteString("}\n")
	return b.String()
}

// tree shows each service that nobody waits for, and below it what it waits
// for. What was shown already is not unfolded again.
func tree(nodes []node, utf8 bool) string {
	branch, last, down := "├─ ", "└─ ", "│  "
	if !utf8 {
		branch, last, down = "|- ", "`- ", "|  "
	}
	byName, needed := map[string]node{}, map[string]bool{}
	for _, n := range nodes {
		byName[n.Name] = n
		for _, a := range n.After {
			needed[a] = true
		}
	}
	var b strings.Builder
	shown := map[string]bool{}
	var show func(n node, head, below string)
	show = func(n node, head, below string) {
		b.WriteString(head + n.Name)
		if n.State != "" {
			b.WriteString("  " + n.State)
		}
		if supervise.State(n.State).Up() {
			fmt.Fprintf(&b, " in %.1f s", (time.Duration(n.ReadyMS) * time.Millisecond).Seconds())
		}
		if shown[n.Name] && len(n.After) > 0 {
			b.WriteString("  (see above)\n")
			return
		}
		b.WriteByte('\n')
		shown[n.Name] = true
		for i, name := range n.After {
			if i == len(n.After)-1 {
				show(byName[name], below+last, below+"   ")
			} else {
				show(byName[name], below+branch, below+down)
			}
		}
	}
	for _, n := range nodes {
		if !needed[n.Name] {
			show(n, "", "")
		}
	}
	return b.String()
}
