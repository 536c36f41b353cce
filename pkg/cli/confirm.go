package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/prism-data-layer/prism/pkg/iostreams"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// A Confirmation asks before something is destroyed.
type Confirmation struct {
	Yes bool // --yes
}

// AddConfirmation gives cmd the flag --yes.
func AddConfirmation(cmd *cobra.Command) *Confirmation {
	c := &Confirmation{}
	cmd.Flags().BoolVarP(&c.Yes, "yes", "y", false, "do not ask")
	return c
}

// Ask names what would be destroyed and where. The answer is no unless it is
// yes; in a protected context it is the name itself. Where nobody can answer
// it fails and names the flag.
func (c *Confirmation) Ask(ctx context.Context, f *Factory, what, name string) error {
	if c.Yes {
		return nil
	}
	if !f.IO.CanPrompt() {
		return Usage("pass --yes", "%s needs a confirmation, and nobody can be asked", what)
	}
	t, err := f.Target()
	if err != nil {
		return err
	}
	where := t.Context
	if where == "" {
		where = t.Admin
	}
	what, name, where = iostreams.Escape(what), iostreams.Escape(name), iostreams.Escape(where)
	question := fmt.Sprintf("%s in %s? [y/N] ", what, where)
	if t.Protected {
		question = fmt.Sprintf("%s in %s, which is protected? Type %s: ", what, where, name)
	}
	answer, err := f.IO.Ask(ctx, question)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	agreed := strings.EqualFold(answer, "y") || strings.EqualFold(answer, "yes")
	if t.Protected {
		agreed = answer == name
	}
	if err != nil || !agreed {
		return &Failure{Err: prism.New(prism.ReasonFailedPrecond, "not confirmed: nothing was changed"), Exit: ExitFailure, Fix: "pass --yes to go on without a question"}
	}
	return nil
}
