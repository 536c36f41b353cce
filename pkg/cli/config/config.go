// Package config is `prismctl config`: the settings that prismctl goes by, the
// gateway's file that dev up would use, and the check of any of them.
package config

import (
	"github.com/spf13/cobra"

	"github.com/prism-data-layer/prism/pkg/cli"
)

// New is the noun.
func New(f *cli.Factory) *cobra.Command {
	return cli.Group("config", "Look at configuration, and check it",
		"view shows the settings of prismctl, show those of the gateway that dev up would run,\nvalidate checks a file without using it, and edit changes one.",
		"  prismctl config view --show-origin\n  prismctl config validate prism.yaml",
		newEdit(f, runEdit), newSchema(f, runSchema), newShow(f, runShow), newValidate(f, runValidate), newView(f, runView))
}
