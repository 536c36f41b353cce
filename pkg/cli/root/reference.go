package root

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/prism-data-layer/prism/pkg/cli"
)

// Reference is the command reference as Markdown, made from the tree.
func Reference(f *cli.Factory) string {
	tree := New(f, Nouns())
	var b strings.Builder
	b.WriteString("# prismctl\n\n<!-- Made from the commands by make generate. -->\n\n" + tree.Long + "\n")
	each(tree, func(c *cobra.Command) {
		fmt.Fprintf(&b, "\n## %s\n\n%s.\n", c.CommandPath(), c.Short)
		if c.Long != "" {
			fmt.Fprintf(&b, "\n%s\n", c.Long)
		}
		fmt.Fprintf(&b, "\n```text\n%s\n```\n", usage(c))
		if c.Example != "" {
			fmt.Fprintf(&b, "\n```sh\n%s\n```\n", outdent(c.Example))
		}
		if flags := cli.FlagUsage(c.LocalNonPersistentFlags()); flags != "" {
			fmt.Fprintf(&b, "\n```text\n%s```\n", flags)
		}
	})
	for _, t := range topics() {
		fmt.Fprintf(&b, "\n## prismctl help %s\n\n```text\n%s```\n", t.name, t.text(f, tree))
	}
	return b.String()
}

// Man is one manual page for all commands, in troff, made from the tree.
func Man(f *cli.Factory) string {
	tree := New(f, Nouns())
	var b strings.Builder
	fmt.Fprintf(&b, ".TH PRISMCTL 1\n.SH NAME\nprismctl \\- %s\n.SH DESCRIPTION\n%s\n", troff(tree.Short), troff(tree.Long))
	each(tree, func(c *cobra.Command) {
		fmt.Fprintf(&b, ".SH %s\n%s.\n.PP\n%s\n.PP\n.nf\n%s\n.fi\n", troff(strings.ToUpper(c.CommandPath())), troff(c.Short), troff(c.Long), troff(usage(c)))
		if flags := cli.FlagUsage(c.LocalNonPersistentFlags()); flags != "" {
			fmt.Fprintf(&b, ".PP\n.nf\n%s.fi\n", troff(flags))
		}
		fmt.Fprintf(&b, ".PP\nExamples:\n.PP\n.nf\n%s\n.fi\n", troff(c.Example))
	})
	for _, t := range topics() {
		fmt.Fprintf(&b, ".SH %s\n.nf\n%s.fi\n", troff(strings.ToUpper(t.name)), troff(t.text(f, tree)))
	}
	return b.String()
}

// each visits what help shows, in its order.
func each(c *cobra.Command, visit func(*cobra.Command)) {
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() {
			visit(sub)
			each(sub, visit)
		}
	}
}

func outdent(text string) string {
	lines := strings.Split(strings.Trim(text, "\n"), "\n")
	for i, l := range lines {
		lines[i] = strings.TrimPrefix(l, "  ")
	}
	return strings.Join(lines, "\n")
}

// troff escapes what troff would read as its own.
func troff(text string) string {
	text = strings.ReplaceAll(text, `\`, `\e`)
	text = strings.ReplaceAll(text, "-", `\-`)
	lines := strings.Split(text, "\n")
	for i, l := range lines {
		if strings.HasPrefix(l, ".") || strings.HasPrefix(l, "'") {
			lines[i] = `\&` + l
		}
	}
	return strings.Join(lines, "\n")
}
