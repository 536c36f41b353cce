package cli

import (
	"context"

	"github.com/spf13/cobra"

	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
)

// A Description is the describe command of a noun: what help says, and the one
// call that it makes.
type Description[T any] struct {
	Kind     Kind[T]
	Noun     string // "namespace"
	Arg      string // the argument in help: "NAME"
	Long     string
	Example  string
	Complete func(*Factory) cobra.CompletionFunc
	Get      func(ctx context.Context, c adminv1.AdminServiceClient, name string) (T, error)
}

// NewDescribe makes the command. What is not there is answered with the
// command that lists what is.
func NewDescribe[T any](f *Factory, d Description[T]) *cobra.Command {
	cmd := &cobra.Command{
		Use:               "describe " + d.Arg,
		Aliases:           []string{"get", "show"},
		Short:             "Show one " + d.Noun,
		Long:              d.Long,
		Example:           d.Example,
		Args:              ExactArgs(d.Arg),
		ValidArgsFunction: d.Complete(f),
	}
	out := AddOutput(f, cmd, d.Kind.Info())
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := f.Admin(cmd.Context())
		if err != nil {
			return err
		}
		one, err := d.Get(cmd.Context(), c, args[0])
		if err != nil {
			return NotFoundFix(err, "prismctl "+d.Noun+" list")
		}
		return PrintOne(out, d.Kind, one)
	}
	return cmd
}
