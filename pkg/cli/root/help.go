package root

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/iostreams"
)

// printHelp writes the help of one command; the same text for -h, --help,
// `help x` and `x help`.
func printHelp(f *cli.Factory, cmd *cobra.Command) {
	w := f.IO.Pager()
	defer w.Close()
	_ = f.Apply(false)
	if !cmd.HasParent() {
		fmt.Fprint(w, rootHelp(f, cmd))
		return
	}
	fmt.Fprint(w, commandHelp(f, cmd))
}

// rootHelp is short: what there is by group, and how to begin.
func rootHelp(f *cli.Factory, cmd *cobra.Command) string {
	p := f.IO.Palette(iostreams.Out)
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n", cmd.Long)
	fmt.Fprintf(&b, "%s prismctl <noun> <verb> [NAME] [flags]\n\n", p.Bold("Usage:"))
	for _, g := range cmd.Groups() {
		var names []string
		for _, c := range cmd.Commands() {
			if c.GroupID == g.ID && c.IsAvailableCommand() {
				names = append(names, c.Name())
			}
		}
		if len(names) > 0 {
			fmt.Fprintf(&b, "  %s %s\n", p.Bold(fmt.Sprintf("%-11s", g.Title)), strings.Join(names, "  "))
		}
	}
	fmt.Fprintf(&b, "\n%s\n", p.Bold("Begin with:"))
	for _, example := range strings.Split(cmd.Example, "\n") {
		if c, _, err := cmd.Find(strings.Fields(example)[1:]); err == nil && c != cmd {
			fmt.Fprintln(&b, example)
		}
	}
	b.WriteByte('\n')
	var names []string
	for _, t := range topics() {
		names = append(names, t.name)
	}
	fmt.Fprintf(&b, "prismctl help NOUN says more; prismctl help TOPIC explains\n  %s\n", strings.Join(names, "  "))
	return b.String()
}

func commandHelp(f *cli.Factory, cmd *cobra.Command) string {
	p := f.IO.Palette(iostreams.Out)
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", strings.TrimSpace(cmd.Short+"\n\n"+cmd.Long))
	fmt.Fprintf(&b, "\n%s\n  %s\n", p.Bold("Usage"), usage(cmd))
	if len(cmd.Aliases) > 0 {
		fmt.Fprintf(&b, "\n%s\n  %s\n", p.Bold("Aliases"), strings.Join(cmd.Aliases, ", "))
	}
	if cmd.HasAvailableSubCommands() {
		fmt.Fprintf(&b, "\n%s\n", p.Bold("Verbs"))
		width := 0
		for _, c := range cmd.Commands() {
			width = max(width, len(c.Name()))
		}
		for _, c := range cmd.Commands() {
			if c.IsAvailableCommand() {
				fmt.Fprintf(&b, "  %-*s  %s\n", width, c.Name(), c.Short)
			}
		}
	}
	if t := topicOf(cmd); t != nil {
		fmt.Fprintf(&b, "\n%s", t.text(f, cmd.Root()))
	}
	if cmd.Example != "" {
		fmt.Fprintf(&b, "\n%s\n%s\n", p.Bold("Examples"), strings.TrimRight(cmd.Example, "\n"))
	}
	if flags := cli.FlagUsage(cmd.LocalNonPersistentFlags()); flags != "" {
		fmt.Fprintf(&b, "\n%s\n%s", p.Bold("Flags"), flags)
	}
	fmt.Fprintf(&b, "\nprismctl help flags lists the flags that every command takes.\n")
	return b.String()
}

// usage is the line that shows what a command takes.
func usage(cmd *cobra.Command) string {
	if cmd.HasAvailableSubCommands() {
		return cmd.CommandPath() + " <verb> [flags]"
	}
	if cmd.HasAvailableLocalFlags() {
		return cmd.UseLine() + " [flags]"
	}
	return cmd.UseLine()
}

// topicOf is the topic that has a noun's name: the help of the noun holds it.
func topicOf(cmd *cobra.Command) *topic {
	if cmd.Parent() != cmd.Root() {
		return nil
	}
	for _, t := range topics() {
		if t.name == cmd.Name() {
			return &t
		}
	}
	return nil
}

// newHelp is `prismctl help [COMMAND | TOPIC]`.
func newHelp(f *cli.Factory, root *cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "help [COMMAND | TOPIC]",
		Short:   "Explain a command or a topic",
		Long:    "Shows the help of a command, as --help does, or one of the topics.",
		Example: "  prismctl help namespace create\n  prismctl help exit-codes",
		Args:    cobra.ArbitraryArgs,
		GroupID: groupHelp,
		Hidden:  true,
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return root.Help()
			}
			found, rest, err := root.Find(args)
			if err == nil && len(rest) == 0 && found != root {
				return found.Help()
			}
			for _, t := range topics() {
				if len(args) == 1 && t.name == args[0] {
					w := f.IO.Pager()
					fmt.Fprint(w, t.text(f, root))
					return w.Close()
				}
			}
			return unknownHelp(root, args)
		},
	}
	cli.SkipFiles(cmd)
	return cmd
}

func unknownHelp(root *cobra.Command, args []string) error {
	at, word := root, args[0]
	if found, rest, err := root.Find(args); err == nil && len(rest) > 0 {
		at, word = found, rest[0]
	}
	err := cli.UnknownCommand(at, word)
	var names []string
	for _, t := range topics() {
		names = append(names, t.name)
	}
	if at == root && !slices.ContainsFunc(root.Commands(), func(c *cobra.Command) bool { return strings.HasPrefix(c.Name(), word[:min(2, len(word))]) }) {
		return cli.Usage("a command, or one of: "+strings.Join(names, ", "), "there is no command and no topic %q", word)
	}
	return err
}
