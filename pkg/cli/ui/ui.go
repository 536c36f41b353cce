// Package ui is `prismctl ui`: the dashboards, on a terminal or as one frame of
// text. It gives the pages of package tui the sources that they ask, made of
// the gateway's admin API.
package ui

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/config"
	"github.com/prism-data-layer/prism/pkg/iostreams"
	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/tui"
	"github.com/prism-data-layer/prism/tui/component/told"
	"github.com/prism-data-layer/prism/tui/keys"
	"github.com/prism-data-layer/prism/tui/page/overview"
	"github.com/prism-data-layer/prism/tui/theme"
)

type options struct {
	IO       *iostreams.IOStreams
	Globals  *cli.Globals
	Target   func() (*cli.Target, error)
	Source   func(context.Context) (*source, error)
	Terminal func() (in, out *os.File) // where the dashboards are drawn
	User     func() (*config.User, error)
	Commands func() []tui.Command
	Store    store

	Snapshot bool
	Size     string
	Refresh  cli.DurationFlag
	View     string
	Theme    string

	ReadOnly, Accessible bool
}

// The size of a frame when neither a flag nor a terminal says one.
const (
	defaultWidth  = 80
	defaultHeight = 24
)

// maxSide bounds a frame: it is for a screen, not for a wall.
const maxSide = 1000

// New is the command.
func New(f *cli.Factory) *cobra.Command { return newUI(f, run) }

// NewTop is the command that begins with the overview, whatever was looked at
// last.
func NewTop(f *cli.Factory) *cobra.Command {
	cmd := newUI(f, func(ctx context.Context, o *options) error {
		if o.View == "" {
			o.View = overview.Name
		}
		return run(ctx, o)
	})
	cmd.Use, cmd.Short, cmd.SuggestFor = "top", "Watch the traffic of the gateway", []string{"monitor", "stats"}
	cmd.Long = "Opens the dashboards of prismctl ui on the overview: traffic, latencies, namespaces, backends\n" +
		"and sessions, kept up to date. Press ? for the keys, : to go to any other page."
	cmd.Example = "  prismctl top\n  prismctl top --refresh 5s\n  prismctl top --snapshot --size 120x40"
	return cmd
}

// newOptions are those of a command without flags.
func newOptions(f *cli.Factory) *options {
	return &options{
		IO: f.IO, Globals: f.Globals, Target: f.Target,
		Source:   func(ctx context.Context) (*source, error) { return newSource(ctx, f) },
		Terminal: func() (in, out *os.File) { return os.Stdin, os.Stdout },
		User:     f.User, Store: newStore(f),
		Commands: func() []tui.Command { return nil },
		Refresh:  cli.DurationFlag(tui.DefaultRefresh),
	}
}

// Show opens the dashboards on a page, for other commands.
func Show(f *cli.Factory) func(ctx context.Context, view string) error {
	return func(ctx context.Context, view string) error {
		o := newOptions(f)
		o.View = view
		return run(ctx, o)
	}
}

func newUI(f *cli.Factory, run func(context.Context, *options) error) *cobra.Command {
	o := newOptions(f)
	cmd := &cobra.Command{
		Use:   "ui",
		Short: "Watch the gateway on live dashboards",
		Long: "Shows what the gateway does, page by page, and keeps it up to date. ? shows the keys of a page,\n" +
			": goes to any other by a few letters of its name. What changes something asks first, and shows the\n" +
			"command that does the same; --read-only refuses all of it.\n\n" +
			"It begins where it was left last. Order, filters and theme are kept in the XDG state folder, keys can\n" +
			"be changed in the person's file: prismctl help keys. With --snapshot it asks twice, prints one frame\n" +
			"as text and exits; that needs no terminal.",
		Example: "  prismctl ui\n  prismctl ui --view overview --read-only\n  prismctl ui --refresh 5s --theme safe\n  prismctl ui --snapshot --size 120x40",
		Args:    cli.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.Commands = func() []tui.Command { return commands(cmd.Root()) }
			if !cmd.Flags().Changed("theme") {
				o.Theme = ""
			}
			return run(cmd.Context(), o)
		},
	}
	cmd.Flags().BoolVar(&o.Snapshot, "snapshot", false, "print one frame as text and exit")
	cmd.Flags().StringVar(&o.Size, "size", "", "of the frame of --snapshot, as `COLUMNSxROWS`")
	cmd.Flags().Var(&o.Refresh, "refresh", "ask the gateway once in this `DURATION`")
	cmd.Flags().StringVar(&o.View, "view", "", "start with this `PAGE`, with what it is about behind it: "+strings.Join(pageNames(), ", "))
	cli.Suggest(cmd, "view", pageNames()...)
	cmd.Flags().StringVar(&o.Theme, "theme", "auto", "colours for a `BACKGROUND`, the safe ones for eyes that do not tell red from green: "+strings.Join(theme.Modes(), ", "))
	cli.Enum(cmd, "theme", theme.Modes()...)
	cmd.Flags().BoolVar(&o.ReadOnly, "read-only", false, "refuse everything that changes something")
	cmd.Flags().BoolVar(&o.Accessible, "accessible", false, "words line by line for a screen reader, as with "+config.EnvAccessible)
	cli.SetDefault(cmd, "view", "the page that was left last, or "+overview.Name)
	cli.SetDefault(cmd, "size", fmt.Sprintf("the terminal's, or %dx%d", defaultWidth, defaultHeight))
	return cmd
}

func run(ctx context.Context, o *options) error {
	opts, err := o.dashboards()
	if err != nil {
		return err
	}
	width, height, err := o.size()
	if err != nil {
		return err
	}
	if !o.Snapshot {
		if err := o.canDraw(); err != nil {
			return err
		}
		// What these would print on ErrOut would be printed into the frame.
		o.Globals.Debug, o.Globals.Verbose = false, 0
	}
	source, err := o.Source(ctx)
	if err != nil {
		return err
	}
	opts.Told = &told.Log{}
	opts.Pages = pages(source, opts.Told)
	if wrong := tui.New(ctx, opts).CheckKeys(); len(wrong) > 0 {
		return cli.WithFix(prism.New(prism.ReasonInvalidArgument, "the keys in your file do not work: %s", strings.Join(wrong, "; ")),
			"prismctl help keys lists the actions; change keys: in your file")
	}
	if o.Snapshot {
		frame, err := tui.Snapshot(ctx, opts, width, height)
		if _, werr := o.IO.Out.Write([]byte(frame)); err == nil {
			err = werr
		}
		return err
	}
	opts.Editor, opts.Clipboard = editor(o.IO.Env), clipboard(o.IO, exec.LookPath)
	opts.Save = func(s tui.State) error {
		if err := o.Store.save(s); err != nil { // no reason to fail: everything was done
			fmt.Fprintf(o.IO.ErrOut, "note: what you looked at is not kept: %v\n", err)
		}
		return nil
	}
	in, out := o.Terminal()
	err = tui.Run(ctx, opts, tui.Terminal{In: in, Out: out, Env: o.environment()})
	var crash *tui.Crash
	if errors.As(err, &crash) {
		panic(crash) // the screen is restored: prismctl's own report is written
	}
	return err
}

// dashboards reads the flags and the target.
func (o *options) dashboards() (tui.Options, error) {
	state, found := tui.State{}, true
	if !o.Snapshot { // a frame depends on what is asked for alone
		state, found = o.Store.load()
	}
	word := o.Theme
	if word == "" {
		word = state.Theme
	}
	mode, _ := theme.ParseMode(word)
	if err := checkView(o.View); err != nil {
		return tui.Options{}, err
	}
	refresh := time.Duration(o.Refresh)
	if refresh < tui.MinRefresh || refresh > time.Hour {
		return tui.Options{}, cli.Usage("use one from 100ms to 1h, such as 1s", "--refresh: %s is too short or too long", cli.Duration(refresh))
	}
	if !o.IO.ColorEnabled(iostreams.Out) {
		mode = theme.Mono
	}
	t, err := o.Target()
	if err != nil {
		return tui.Options{}, err
	}
	user, err := o.User()
	if err != nil {
		return tui.Options{}, err
	}
	remap := keys.Remap{}
	for action, list := range user.Keys {
		remap[keys.Action(action)] = list
	}
	return tui.Options{
		Keys: remap, Commands: o.Commands(), State: state, Hint: !found,
		ReadOnly: o.ReadOnly, Accessible: o.Accessible || o.IO.Env(config.EnvAccessible) != "",
		Context: t.Context, Address: t.Admin, Protected: t.Protected, Command: o.command(),
		View: o.View, Refresh: refresh, Mode: mode,
		Charset: theme.CharsetFor(o.IO.UTF8(), o.IO.Env("TERM")), Clock: o.IO.Clock(),
	}, nil
}

// checkView refuses a page that there is not, or that lacks what it is about.
func checkView(view string) error {
	name, arg, _ := strings.Cut(view, " ")
	for _, f := range pages(nil, nil) {
		if f.Name != name && !slices.Contains(f.Aliases, name) {
			continue
		}
		if arg == "" && f.Arg != "" && !f.ArgOptional {
			return cli.Usage(fmt.Sprintf("name it: --view '%s NAME'", name), "--view: %s needs a %s", name, strings.ToLower(f.Arg))
		}
		return nil
	}
	if view == "" {
		return nil
	}
	return cli.NotAWord("view", view, pageNames())
}

// command leads a copied command to the same gateway as this one.
func (o *options) command() string {
	c := "prismctl"
	for _, f := range []struct{ flag, value string }{{"--context", o.Globals.Context}, {"--admin", o.Globals.Admin}} {
		if f.value != "" {
			c += " " + f.flag + " " + f.value
		}
	}
	return c
}

// size is the size of the frame.
func (o *options) size() (width, height int, err error) {
	if o.Size == "" {
		if w, h := o.IO.Width(), o.IO.Height(); w > 0 && h > 0 {
			return w, h, nil
		}
		return defaultWidth, defaultHeight, nil
	}
	if !o.Snapshot {
		return 0, 0, cli.Usage("prismctl ui --snapshot --size "+o.Size, "--size is for --snapshot: on a terminal the dashboards fill it")
	}
	left, right, ok := strings.Cut(o.Size, "x")
	width, err1 := strconv.Atoi(left)
	height, err2 := strconv.Atoi(right)
	if !ok || err1 != nil || err2 != nil || min(width, height) < 1 || max(width, height) > maxSide {
		return 0, 0, cli.Usage("write it as COLUMNSxROWS, such as 120x40", "--size: %q is not the size of a screen", o.Size)
	}
	return width, height, nil
}

// canDraw refuses what is no terminal that can be drawn on, and names what
// works there.
func (o *options) canDraw() error {
	const instead = "prismctl ui --snapshot prints one frame; prismctl namespace list and prismctl health print text"
	switch {
	case !o.IO.IsTTY(iostreams.Out) || !o.IO.IsTTY(iostreams.In):
		return cli.Usage(instead, "the dashboards need a terminal for input and output")
	case o.IO.Env("TERM") == "dumb":
		return cli.Usage(instead, "this terminal cannot draw the dashboards: TERM is dumb")
	}
	return nil
}

// environment is what the drawing library may know. Whether there is colour was
// decided before, by the same rules as for every other command.
func (o *options) environment() []string {
	var env []string
	for _, name := range []string{
		"TERM", "COLORTERM", "TERM_PROGRAM", "TERM_PROGRAM_VERSION", "TERMINFO", "TERMINFO_DIRS", "TMUX", "STY", "SSH_TTY", "WT_SESSION",
		"ConEmuANSI", "GOOGLE_CLOUD_SHELL", "LANG", "LC_ALL", "LC_CTYPE",
	} {
		if v, ok := o.IO.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	return env
}

// errNoAnswer stands under the error for a gateway that is too slow.
var errNoAnswer = errors.New("no answer in time")
