package ui

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/prism-data-layer/prism/tui"
)

// commands are what the palette finds beside pages: every noun of prismctl.
func commands(root *cobra.Command) []tui.Command {
	var out []tui.Command
	for _, c := range root.Commands() {
		if c.Hidden || c.Name() == "help" {
			continue
		}
		out = append(out, tui.Command{Name: c.Name(), About: c.Short, Help: func() string { return about(c) }})
	}
	return out
}

// about is the help of a command, as it is read on the screen.
func about(c *cobra.Command) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n", firstOf(c.Long, c.Short))
	if c.HasAvailableSubCommands() {
		b.WriteString("Commands\n")
		for _, sub := range c.Commands() {
			if !sub.Hidden {
				fmt.Fprintf(&b, "  %-34s %s\n", sub.CommandPath(), sub.Short)
			}
		}
	} else {
		fmt.Fprintf(&b, "Usage\n  %s\n", c.UseLine())
		if flags := c.LocalNonPersistentFlags(); flags.HasAvailableFlags() {
			fmt.Fprintf(&b, "\nFlags\n%s", flags.FlagUsages())
		}
	}
	if c.Example != "" {
		fmt.Fprintf(&b, "\nExamples\n%s\n", c.Example)
	}
	return b.String()
}
