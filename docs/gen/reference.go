package main

import (
	"bytes"
	"fmt"
	"path"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/prism-data-layer/prism/pkg/bench"
	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/cli/root"
	"github.com/prism-data-layer/prism/pkg/driver/all"
	"github.com/prism-data-layer/prism/pkg/iostreams"
	"github.com/prism-data-layer/prism/pkg/server"
)

const referenceDir = "reference"

// reference makes a page and a man page of every noun, of prismctl itself and
// of prismd.
func reference() map[string]string {
	streams, _, _, _ := iostreams.Test()
	tree := root.New(cli.NewFactory(streams, cli.Build{}), root.Nouns())
	made := map[string]string{}
	var index strings.Builder
	index.WriteString("# prismctl\n\n" + tree.Long + "\n\n| command | what it does |\n|---|---|\n")
	for _, noun := range tree.Commands() {
		if !noun.IsAvailableCommand() {
			continue
		}
		fmt.Fprintf(&index, "| [`%s`](%s.md) | %s |\n", noun.CommandPath(), noun.Name(), noun.Short)
		var page strings.Builder
		fmt.Fprintf(&page, "# %s\n\n%s\n", noun.CommandPath(), about(noun))
		each(noun, func(c *cobra.Command) { markdown(&page, c) })
		made[path.Join(referenceDir, noun.Name()+".md")] = mark + page.String()
		made[path.Join(referenceDir, "man", "prismctl-"+noun.Name()+".1")] = man(noun)
	}
	globals := cli.FlagUsage(tree.PersistentFlags())
	fmt.Fprintf(&index, "\n## Flags that every command takes\n\n```text\n%s```\n\n## Exit codes\n\n| code | meaning |\n|---|---|\n", globals)
	for _, c := range cli.ExitCodes() {
		fmt.Fprintf(&index, "| %d | %s |\n", c.Code, c.Meaning)
	}
	index.WriteString("\nThe gateway itself: [`prismd`](prismd.md).\n")
	made[path.Join(referenceDir, "README.md")] = mark + index.String()
	made[path.Join(referenceDir, "man", "prismctl.1")] = man(tree)
	var help bytes.Buffer
	server.Main([]string{"-h"}, &help, &help, server.Build{Drivers: all.Drivers()})
	page := "# prismd\n\n```text\n" + help.String() + "```\n"
	help.Reset()
	bench.Main([]string{"-h"}, &help, &help, all.Drivers(), "")
	made[path.Join(referenceDir, "prismd.md")] = mark + page + "\n## prismd bench\n\n```text\n" + help.String() + "```\n"
	return made
}

// each visits a command and those below it, as help lists them.
func each(c *cobra.Command, visit func(*cobra.Command)) {
	visit(c)
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() {
			each(sub, visit)
		}
	}
}

func about(c *cobra.Command) string { return strings.TrimSpace(c.Short + "\n\n" + c.Long) }

func flagsOf(c *cobra.Command) *pflag.FlagSet { return c.LocalNonPersistentFlags() }

// markdown is the section of one command that can be run.
func markdown(b *strings.Builder, c *cobra.Command) {
	if !c.Runnable() || c.HasAvailableSubCommands() {
		return
	}
	if c.Parent().HasParent() {
		fmt.Fprintf(b, "\n## %s\n\n%s\n", c.CommandPath(), about(c))
	}
	fmt.Fprintf(b, "\n```text\n%s\n```\n", c.UseLine())
	if flags := cli.FlagUsage(flagsOf(c)); flags != "" {
		fmt.Fprintf(b, "\n```text\n%s```\n", flags)
	}
	if c.Example != "" {
		fmt.Fprintf(b, "\n```sh\n%s\n```\n", dedent(c.Example))
	}
}

func dedent(text string) string {
	lines := strings.Split(strings.Trim(text, "\n"), "\n")
	for i := range lines {
		lines[i] = strings.TrimPrefix(lines[i], "  ")
	}
	return strings.Join(lines, "\n")
}

// man is a page for man(1).
func man(c *cobra.Command) string {
	var b strings.Builder
	name := strings.ReplaceAll(c.CommandPath(), " ", "-")
	fmt.Fprintf(&b, ".\\\" Made by make generate from code; do not edit.\n.TH %s 1 \"\" \"Prism\" \"Prism Manual\"\n", roff(strings.ToUpper(name)))
	fmt.Fprintf(&b, ".SH NAME\n%s \\- %s\n", roff(name), roff(c.Short))
	fmt.Fprintf(&b, ".SH DESCRIPTION\n%s\n", paragraphs(about(c)))
	each(c, func(c *cobra.Command) {
		if !c.HasParent() || c.HasAvailableSubCommands() || !c.Runnable() {
			return
		}
		fmt.Fprintf(&b, ".SH \"%s\"\n%s\n.PP\n.nf\n%s\n.fi\n", roff(strings.ToUpper(strings.TrimPrefix(c.CommandPath(), "prismctl "))), paragraphs(about(c)), roff(c.UseLine()))
		if flags := cli.FlagUsage(flagsOf(c)); flags != "" {
			fmt.Fprintf(&b, ".PP\n.nf\n%s\n.fi\n", roff(strings.TrimRight(flags, "\n")))
		}
		if c.Example != "" {
			fmt.Fprintf(&b, ".PP\nExamples:\n.PP\n.nf\n%s\n.fi\n", roff(strings.Trim(c.Example, "\n")))
		}
	})
	if !c.HasParent() {
		fmt.Fprintf(&b, ".SH OPTIONS\n.nf\n%s\n.fi\n", roff(strings.TrimRight(cli.FlagUsage(c.PersistentFlags()), "\n")))
		b.WriteString(".SH \"EXIT STATUS\"\n.nf\n")
		for _, e := range cli.ExitCodes() {
			fmt.Fprintf(&b, "%3d  %s\n", e.Code, roff(e.Meaning))
		}
		b.WriteString(".fi\n")
	}
	return b.String()
}

func paragraphs(text string) string { return strings.ReplaceAll(roff(text), "\n\n", "\n.PP\n") }

// roff escapes what troff would take for a command.
func roff(text string) string {
	lines := strings.Split(strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(text), "\n")
	for i, l := range lines {
		if strings.HasPrefix(l, ".") || strings.HasPrefix(l, "'") {
			lines[i] = `\&` + l
		}
	}
	return strings.Join(lines, "\n")
}
