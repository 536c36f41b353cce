// Package completion is `prismctl completion`: scripts for shells.
package completion

import (
	"github.com/spf13/cobra"

	"github.com/prism-data-layer/prism/pkg/cli"
)

// New is the command.
func New(f *cli.Factory) *cobra.Command {
	shell := func(name, how string, write func(root *cobra.Command) error) *cobra.Command {
		cmd := &cobra.Command{
			Use:     name,
			Short:   "Print the script for " + name,
			Long:    "Prints the completion script for " + name + ". To load it:\n\n  " + how,
			Example: "  prismctl completion " + name + "\n  prismctl help completion " + name,
			Args:    cli.NoArgs,
			RunE:    func(cmd *cobra.Command, _ []string) error { return write(cmd.Root()) },
		}
		cli.SkipFiles(cmd)
		return cmd
	}
	return cli.Group("completion", "Print completion scripts for shells",
		"Prints a script that lets a shell complete commands, flags and names.",
		"  prismctl completion bash\n  prismctl completion zsh",
		shell("bash", "source <(prismctl completion bash)", func(root *cobra.Command) error {
			return root.GenBashCompletionV2(f.IO.Out, true)
		}),
		shell("zsh", "prismctl completion zsh > \"${fpath[1]}/_prismctl\"", func(root *cobra.Command) error {
			return root.GenZshCompletion(f.IO.Out)
		}),
		shell("fish", "prismctl completion fish > ~/.config/fish/completions/prismctl.fish", func(root *cobra.Command) error {
			return root.GenFishCompletion(f.IO.Out, true)
		}),
		shell("powershell", "prismctl completion powershell | Out-String | Invoke-Expression", func(root *cobra.Command) error {
			return root.GenPowerShellCompletionWithDesc(f.IO.Out)
		}))
}
