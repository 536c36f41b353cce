package config

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/config"
	"github.com/prism-data-layer/prism/pkg/iostreams"
	"github.com/prism-data-layer/prism/pkg/prism"
)

type editOptions struct {
	IO   *iostreams.IOStreams
	Load config.Load
	Temp string // where the draft is

	File   string
	DryRun bool
}

func newEdit(f *cli.Factory, run func(context.Context, *editOptions) error) *cobra.Command {
	o := &editOptions{IO: f.IO, Load: config.Load{Lookup: f.IO.LookupEnv}, Temp: f.Place.Temp}
	cmd := &cobra.Command{
		Use:   "edit [FILE]",
		Short: "Change a file in your editor",
		Long: `Opens your own configuration, or FILE, in VISUAL, EDITOR or vi. What you save is checked first: a
text with a mistake is opened again with the mistakes at its top, and the file stays as it was
until it is right. Leave the text as it is to give up.`,
		Example: "  prismctl config edit --help\n  prismctl config edit prism.yaml --help",
		Args:    cli.OptionalArgs("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.File = f.UserFile(); len(args) > 0 {
				o.File = args[0]
				if !filepath.IsAbs(o.File) {
					o.File = filepath.Join(f.Place.Dir, o.File)
				}
			}
			return run(cmd.Context(), o)
		},
	}
	cmd.Flags().BoolVar(&o.DryRun, "dry-run", false, "check what is written, show it, and change nothing")
	cli.SkipFiles(cmd) // it may be what is to be mended
	return cmd
}

// mark begins the lines that edit puts into a draft, and takes out again.
const mark = "# prismctl: "

func runEdit(ctx context.Context, o *editOptions) error {
	if !o.IO.CanPrompt() {
		return cli.Usage("change the file, then prismctl config validate "+cli.Quote(o.File), "an editor needs a terminal")
	}
	before, err := config.ReadFile(o.File)
	if errors.Is(err, fs.ErrNotExist) {
		before, err = []byte("apiVersion: "+config.APIVersion+"\nkind: "+config.KindUser+"\n"), nil
	}
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp(o.Temp, "prism-edit-*") // for its owner only
	if err != nil {
		return err
	}
	draft := filepath.Join(dir, filepath.Base(o.File)) // the name tells its kind
	after, err := o.untilRight(ctx, draft, before)
	if err == nil && after != nil && !o.DryRun {
		err = config.WriteFile(o.File, after)
	}
	if err != nil && after != nil {
		return cli.WithFix(err, "your text is kept: %s", draft)
	}
	if e := os.RemoveAll(dir); err == nil {
		err = e
	}
	switch {
	case err != nil:
		return err
	case after == nil:
		fmt.Fprintln(o.IO.ErrOut, "nothing was changed")
	case o.DryRun:
		fmt.Fprintf(o.IO.Out, "would save %s (dry run)\n", iostreams.Escape(o.File))
		printDiff(o.IO, string(before), string(after))
	default:
		fmt.Fprintf(o.IO.Out, "saved %s\n", iostreams.Escape(o.File))
	}
	return nil
}

// printDiff shows the lines from the first that differs to the last.
func printDiff(ios *iostreams.IOStreams, before, after string) {
	was, is := strings.Split(before, "\n"), strings.Split(after, "\n")
	for len(was) > 0 && len(is) > 0 && was[0] == is[0] {
		was, is = was[1:], is[1:]
	}
	for len(was) > 0 && len(is) > 0 && was[len(was)-1] == is[len(is)-1] {
		was, is = was[:len(was)-1], is[:len(is)-1]
	}
	p := ios.Palette(iostreams.Out)
	for _, l := range was {
		fmt.Fprintln(ios.Out, p.Bad("- "+iostreams.Escape(l)))
	}
	for _, l := range is {
		fmt.Fprintln(ios.Out, p.Good("+ "+iostreams.Escape(l)))
	}
}

// untilRight lets a person edit until the text is valid. nil is nothing new; with
// an error, what they had written.
func (o *editOptions) untilRight(ctx context.Context, draft string, before []byte) ([]byte, error) {
	text, last := before, before
	for {
		if err := os.WriteFile(draft, text, 0o600); err != nil {
			return nil, err
		}
		if err := o.open(draft); err != nil {
			return nil, err
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		written, err := os.ReadFile(draft)
		if err != nil {
			return nil, err
		}
		written = withoutMarks(written)
		if bytes.Equal(written, before) {
			return nil, nil
		}
		_, err = config.Check(o.File, written, o.Load)
		if err == nil {
			return written, nil
		}
		var wrong *config.Error
		if !errors.As(err, &wrong) || bytes.Equal(written, last) { // nothing more comes
			return written, err
		}
		last, text = written, append(marks(wrong), written...)
	}
}

// open runs the editor on a file and waits for its end.
func (o *editOptions) open(file string) error {
	editor := o.IO.Env("VISUAL")
	if editor == "" {
		editor = o.IO.Env("EDITOR")
	}
	if editor == "" {
		editor = "vi"
	}
	cmd := exec.Command("sh", "-c", editor+` "$1"`, "sh", file) // it may have arguments
	if runtime.GOOS == "windows" {
		words := append(strings.Fields(editor), file)
		cmd = exec.Command(words[0], words[1:]...)
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr // the terminal itself
	if err := cmd.Run(); err != nil {
		return cli.WithFix(prism.New(prism.ReasonFailedPrecond, "the editor %s failed", editor).WithCause(err), "set EDITOR to a program that edits a file")
	}
	return nil
}

// marks are the lines that say what is wrong, for the top of a draft.
func marks(wrong *config.Error) []byte {
	above := len(wrong.Problems) + 1
	var b bytes.Buffer
	fmt.Fprintf(&b, "%sthis was not saved. Correct it, or leave it as it is to give up.\n", mark)
	for _, p := range wrong.Problems {
		advice := ""
		if p.Suggestion != "" {
			advice = fmt.Sprintf("; did you mean %q?", p.Suggestion)
		}
		fmt.Fprintf(&b, "%sline %d: %s%s\n", mark, p.Line+above, iostreams.Escape(p.Message), iostreams.Escape(advice))
	}
	return b.Bytes()
}

func withoutMarks(text []byte) []byte {
	var b bytes.Buffer
	for line := range bytes.Lines(text) {
		if !bytes.HasPrefix(line, []byte(mark)) {
			b.Write(line)
		}
	}
	return b.Bytes()
}
