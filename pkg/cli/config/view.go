package config

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/config"
)

type viewOptions struct {
	Out      *cli.Output
	Settings func() (*config.Settings, error)
	Gateway  func() (path string, err error)

	ShowOrigin bool
}

func settingKind(origin bool) cli.Kind[config.Setting] {
	from := cli.Text("origin", "ORIGIN", "the flag, the variable or the file and line it comes from", func(s config.Setting) string { return s.Origin })
	if !origin {
		from = from.OnlyWide()
	}
	return cli.Kind[config.Setting]{Name: "Setting", Fields: []cli.Field[config.Setting]{
		cli.Text("name", "SETTING", "its name", func(s config.Setting) string { return s.Name }),
		cli.Text("value", "VALUE", "its value; secrets are hidden", func(s config.Setting) string { return s.Display() }),
		cli.Text("layer", "FROM", "flag, environment, project, dev, user or default", func(s config.Setting) string { return string(s.Layer) }),
		from,
	}}
}

func newView(f *cli.Factory, run func(context.Context, *viewOptions) error) *cobra.Command {
	o := &viewOptions{Settings: f.Settings}
	o.Gateway = func() (string, error) {
		place, project, err := f.Project()
		if err != nil {
			return "", err
		}
		return place.GatewayFile(project), nil
	}
	cmd := &cobra.Command{
		Use:     "view",
		Short:   "Show the settings that prismctl goes by",
		Long:    "Shows each setting after flags, environment, project file and your own file were put together.\nSecrets are hidden.",
		Example: "  prismctl config view\n  prismctl config view --show-origin",
		Args:    cli.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return run(cmd.Context(), o) },
	}
	o.Out = cli.AddListOutput(f, cmd, settingKind(false).Info())
	cmd.Flags().BoolVar(&o.ShowOrigin, "show-origin", false, "show where each value comes from")
	return cmd
}

func runView(_ context.Context, o *viewOptions) error {
	s, err := o.Settings()
	if err != nil {
		return err
	}
	path, err := o.Gateway()
	if err != nil {
		return err
	}
	gateway := config.Setting{Name: "gateway", Value: path, Layer: config.LayerProject, Origin: path}
	if path == "" {
		gateway = config.Setting{Name: "gateway", Value: config.DefaultName, Layer: config.LayerDefault, Origin: "prismctl config show"}
	}
	return cli.PrintList(o.Out, settingKind(o.ShowOrigin), cli.Cut(o.Out, append(s.List(), gateway)), "")
}
