// Package root is the tree of prismctl's commands and its Main.
package root

import (
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/cli/audit"
	"github.com/prism-data-layer/prism/pkg/cli/backend"
	"github.com/prism-data-layer/prism/pkg/cli/cache"
	"github.com/prism-data-layer/prism/pkg/cli/completion"
	"github.com/prism-data-layer/prism/pkg/cli/config"
	contextcmd "github.com/prism-data-layer/prism/pkg/cli/context"
	"github.com/prism-data-layer/prism/pkg/cli/dev"
	"github.com/prism-data-layer/prism/pkg/cli/doctor"
	"github.com/prism-data-layer/prism/pkg/cli/drain"
	errorscmd "github.com/prism-data-layer/prism/pkg/cli/errors"
	"github.com/prism-data-layer/prism/pkg/cli/fault"
	"github.com/prism-data-layer/prism/pkg/cli/health"
	"github.com/prism-data-layer/prism/pkg/cli/key"
	"github.com/prism-data-layer/prism/pkg/cli/kv"
	"github.com/prism-data-layer/prism/pkg/cli/loadtest"
	"github.com/prism-data-layer/prism/pkg/cli/maintenance"
	"github.com/prism-data-layer/prism/pkg/cli/manifest"
	"github.com/prism-data-layer/prism/pkg/cli/metrics"
	"github.com/prism-data-layer/prism/pkg/cli/namespace"
	"github.com/prism-data-layer/prism/pkg/cli/pubsub"
	"github.com/prism-data-layer/prism/pkg/cli/queue"
	"github.com/prism-data-layer/prism/pkg/cli/schema"
	"github.com/prism-data-layer/prism/pkg/cli/session"
	"github.com/prism-data-layer/prism/pkg/cli/trace"
	"github.com/prism-data-layer/prism/pkg/cli/ts"
	"github.com/prism-data-layer/prism/pkg/cli/ui"
	"github.com/prism-data-layer/prism/pkg/cli/version"
)

// The groups of help, in their order.
const (
	groupCore  = "core"
	groupData  = "data"
	groupLocal = "local"
	groupLoad  = "load"
	groupSee   = "see"
	groupYou   = "you"
	groupHelp  = "help"
)

func groups() []*cobra.Group {
	return []*cobra.Group{
		{ID: groupCore, Title: "Core"},
		{ID: groupData, Title: "Data"},
		{ID: groupLocal, Title: "Local dev"},
		{ID: groupLoad, Title: "Load"},
		{ID: groupSee, Title: "See"},
		{ID: groupYou, Title: "You"},
		{ID: groupHelp, Title: "Help"},
	}
}

// A Noun is one line of the tree: where help lists it, and what makes it.
type Noun struct {
	Group string
	New   func(*cli.Factory) *cobra.Command
}

// Nouns are the commands under prismctl, in the order of help. Adding one is
// adding a line.
func Nouns() []Noun {
	return []Noun{
		{groupCore, namespace.New},
		{groupCore, backend.New},
		{groupCore, session.New},
		{groupCore, key.New},
		{groupCore, all(manifest.NewApply)},
		{groupCore, all(manifest.NewDiff)},
		{groupCore, all(manifest.NewExport)},
		{groupCore, config.New},
		{groupCore, metrics.New},
		{groupCore, audit.New},
		{groupCore, maintenance.New},
		{groupCore, drain.New},
		{groupCore, fault.New},
		{groupData, kv.New},
		{groupData, pubsub.New},
		{groupData, queue.New},
		{groupData, cache.New},
		{groupData, ts.New},
		{groupLocal, func(f *cli.Factory) *cobra.Command { return dev.NewWith(f, ui.Show(f)) }},
		{groupLoad, func(f *cli.Factory) *cobra.Command { return loadtest.NewWith(f, ui.LoadTest(f)) }},
		{groupSee, health.New},
		{groupSee, trace.New},
		{groupSee, ui.New},
		{groupSee, ui.NewTop},
		{groupYou, contextcmd.New},
		{groupHelp, doctor.New},
		{groupHelp, completion.New},
		{groupHelp, errorscmd.New},
		{groupHelp, schema.New},
		{groupHelp, version.New},
	}
}

// all makes a command of files for every kind of object.
func all(of func(f *cli.Factory, kind string) *cobra.Command) func(*cli.Factory) *cobra.Command {
	return func(f *cli.Factory) *cobra.Command { return of(f, "") }
}

// New makes the tree.
func New(f *cli.Factory, nouns []Noun) *cobra.Command {
	f.Tree = func(f *cli.Factory) *cobra.Command { return New(f, nouns) }
	cmd := cli.Group("prismctl", "Operate Prism, the data gateway", "", "")
	cmd.Long = "prismctl operates Prism, a gateway that gives applications one API for every kind of data store."
	cmd.Example = "  prismctl dev up\n  prismctl kv set greeting hello"
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.Version = f.Build.Version
	cmd.CompletionOptions.DisableDefaultCmd = true
	cmd.PersistentPreRunE = func(c *cobra.Command, _ []string) error {
		if !c.Flag("output").Changed {
			f.Globals.Output = "" // what Run guessed was no flag
		}
		completing := strings.HasPrefix(c.Name(), cobra.ShellCompRequestCmd) // must be silent, whatever the files say
		if !completing {
			cli.WarnDeprecated(f, c)
		}
		if err := f.Apply(!completing && !cli.WithoutFiles(c)); err != nil || completing {
			return err
		}
		begin(f, c)
		return nil
	}
	cli.AddGlobals(cmd, f.Globals)
	completeFlags(f, cmd)
	cmd.AddGroup(groups()...)
	for _, n := range nouns {
		c := n.New(f)
		c.GroupID = n.Group
		cmd.AddCommand(c)
	}
	cmd.SetHelpCommand(newHelp(f, cmd))
	cmd.SetHelpFunc(func(c *cobra.Command, _ []string) { printHelp(f, c) })
	cmd.SetFlagErrorFunc(cli.UnknownFlag)
	cmd.SetVersionTemplate("{{.Name}} {{.Version}}\n")
	cmd.SetIn(f.IO.In)
	cmd.SetOut(f.IO.Out)
	cmd.SetErr(f.IO.ErrOut)
	prepare(cmd)
	return cmd
}

// completeFlags completes the values of the global flags.
func completeFlags(f *cli.Factory, cmd *cobra.Command) {
	anywhere := func(complete cobra.CompletionFunc) cobra.CompletionFunc {
		return func(c *cobra.Command, _ []string, word string) ([]string, cobra.ShellCompDirective) {
			return complete(c, nil, word)
		}
	}
	for flag, complete := range map[string]cobra.CompletionFunc{
		"namespace": anywhere(cli.CompleteNamespaces(f)),
		"context":   anywhere(cli.CompleteContexts(f)),
	} {
		_ = cmd.RegisterFlagCompletionFunc(flag, complete) // fails only for a flag that is not there
	}
}

// prepare gives every command what all share.
func prepare(cmd *cobra.Command) {
	cmd.DisableFlagsInUseLine = true
	cmd.Flags().BoolP("help", "h", false, "show help")
	cmd.Flags().SetOutput(io.Discard) // WarnDeprecated says it in our words
	if cmd.Args == nil {
		cmd.Args = cli.NoArgs
	}
	for _, c := range cmd.Commands() {
		prepare(c)
	}
}
