package cli

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/prism-data-layer/prism/pkg/iostreams"
)

const annotationDefault = "prism.default"

// SetDefault says in words what a flag means when it is not given.
func SetDefault(cmd *cobra.Command, flag, text string) {
	if f := cmd.Flags().Lookup(flag); f != nil {
		describeDefault(f, text)
	}
}

// Deprecate keeps a flag working until a release, out of help, with a warning
// that names what to use.
func Deprecate(cmd *cobra.Command, flag, use, until string) {
	if f := cmd.Flags().Lookup(flag); f != nil {
		f.Hidden, f.Deprecated = true, "use "+use+"; it goes in "+until
	}
}

// WarnDeprecated says once, on ErrOut, of each deprecated flag that was given
// what to use instead.
func WarnDeprecated(f *Factory, cmd *cobra.Command) {
	p := f.IO.Palette(iostreams.Err)
	cmd.Flags().Visit(func(flag *pflag.Flag) {
		if flag.Deprecated != "" {
			fmt.Fprintf(f.IO.ErrOut, "%s --%s is deprecated: %s\n", p.Warn("warning:"), flag.Name, flag.Deprecated)
		}
	})
}

func describeDefault(f *pflag.Flag, text string) {
	if f.Annotations == nil {
		f.Annotations = map[string][]string{}
	}
	f.Annotations[annotationDefault] = []string{text}
}

// FlagDefault is the default of a flag as help shows it.
func FlagDefault(f *pflag.Flag) string {
	if d := f.Annotations[annotationDefault]; len(d) > 0 {
		return d[0]
	}
	switch {
	case f.DefValue == "" || f.DefValue == "[]":
		return "none"
	case f.Value.Type() == "duration":
		return strings.TrimSuffix(strings.TrimSuffix(f.DefValue, "0s"), "0m")
	case f.Value.Type() == "bool" && f.DefValue == "false":
		return "off"
	case f.Value.Type() == "bool":
		return "on"
	}
	return f.DefValue
}

// FlagUsage writes flags with a placeholder, a sentence and a default each.
func FlagUsage(flags *pflag.FlagSet) string {
	type row struct{ left, right string }
	var rows []row
	width := 0
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" {
			return
		}
		placeholder, usage := pflag.UnquoteUsage(f)
		if f.Value.Type() == "count" {
			placeholder = ""
		}
		left := "      --" + f.Name
		if f.Shorthand != "" {
			left = "  -" + f.Shorthand + ", --" + f.Name
		}
		if placeholder != "" {
			left += " " + placeholder
		}
		right := usage
		if def := FlagDefault(f); def != "" {
			right += " (default " + def + ")"
		}
		rows, width = append(rows, row{left, right}), max(width, len(left))
	})
	var b strings.Builder
	for _, r := range rows {
		fmt.Fprintf(&b, "%-*s  %s\n", width, r.left, r.right)
	}
	return b.String()
}

// AddGlobals gives root the flags that every command takes.
func AddGlobals(root *cobra.Command, g *Globals) {
	p := root.PersistentFlags()
	p.StringVar(&g.Context, "context", g.Context, "use the gateway with this `NAME`")
	p.StringVarP(&g.Namespace, "namespace", "n", g.Namespace, "work on this `NAMESPACE`")
	p.StringVar(&g.Data, "data", g.Data, "reach the data API at this `ADDRESS`")
	p.StringVar(&g.Admin, "admin", g.Admin, "reach the admin API at this `ADDRESS`")
	p.BoolVar(&g.Insecure, "insecure", g.Insecure, "connect without TLS")
	p.StringVar(&g.CA, "ca", g.CA, "trust the certificates in this `FILE`")
	p.StringVar(&g.TokenFile, "token-file", g.TokenFile, "send the credential in this `FILE`")
	p.StringVar(&g.Config, "config", g.Config, "read this `FILE` instead of your own configuration")
	p.StringVarP(&g.Output, "output", "o", g.Output, "print as `FORMAT`: "+strings.Join(Formats(), ", "))
	p.BoolVarP(&g.Quiet, "quiet", "q", g.Quiet, "print names only")
	p.BoolVar(&g.UTC, "utc", g.UTC, "show times in tables in UTC, as --time-format utc")
	p.StringVar(&g.Times, "time-format", g.Times, "show times in tables as `FORMAT`: "+strings.Join(timeFormats(), ", "))
	p.StringVar(&g.Color, "color", g.Color, "colour: `WHEN` is auto, always or never")
	p.BoolVar(&g.NoInput, "no-input", g.NoInput, "never ask; fail and name the flag instead")
	p.BoolVar(&g.NoPager, "no-pager", g.NoPager, "never start a pager")
	p.Var((*DurationFlag)(&g.Timeout), "timeout", "how long one call may take, as a `DURATION`")
	p.CountVarP(&g.Verbose, "verbose", "v", "say more on errors; -vv says all")
	p.BoolVar(&g.Debug, "debug", g.Debug, "show each call to the gateway: method, code, latency, trace")
	Suggest(root, "output", "table", "wide", "json", "jsonl", "yaml", "name", "csv", "jsonpath=", "go-template=", "custom-columns=")
	Enum(root, "color", "auto", "always", "never")
	Enum(root, "time-format", timeFormats()...)
	for flag, text := range map[string]string{
		"context":     "PRISM_CONTEXT, or the one in use",
		"namespace":   "the context's",
		"data":        "the context's, or 127.0.0.1:8980",
		"admin":       "the context's, or 127.0.0.1:8981",
		"insecure":    "off, but on loopback",
		"ca":          "the system's",
		"token-file":  "the context's",
		"config":      "config.yaml in your configuration folder",
		"timeout":     "30s",
		"output":      "table",
		"color":       "auto",
		"time-format": TimesRelative,
		"verbose":     "off",
	} {
		describeDefault(p.Lookup(flag), text)
	}
}

// ExactArgs wants as many arguments as names, and says which one is missing.
func ExactArgs(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < len(names):
			return Usage(cmd.UseLine(), "%s needs %s", cmd.CommandPath(), names[len(args)])
		case len(args) > len(names):
			return Usage(cmd.UseLine(), "%s does not take %q", cmd.CommandPath(), args[len(names)])
		}
		return nil
	}
}

// NoArgs wants none.
func NoArgs(cmd *cobra.Command, args []string) error { return ExactArgs()(cmd, args) }

// OptionalArgs wants as many as names or fewer.
func OptionalArgs(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) > len(names) {
			return Usage(cmd.UseLine(), "%s does not take %q", cmd.CommandPath(), args[len(names)])
		}
		return nil
	}
}

// Group makes a noun: a command that has verbs and does nothing itself.
func Group(use, short, long, example string, verbs ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use: use, Short: short, Long: long, Example: example,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 || args[0] == "help" {
				return cmd.Help()
			}
			return UnknownCommand(cmd, args[0])
		},
	}
	cmd.AddCommand(verbs...)
	return cmd
}

// UnknownCommand is the error for a word that names no command under cmd.
func UnknownCommand(cmd *cobra.Command, word string) error {
	var names []string
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() {
			names = append(names, c.Name())
			names = append(names, c.Aliases...)
		}
	}
	fix := cmd.CommandPath() + " --help"
	if paths := below(cmd, word); len(paths) > 0 && len(paths) <= 4 { // more are no advice
		fix = strings.Join(paths, ", or ")
	} else if near := didYouMean(word, names); near != "" {
		fix = near
	}
	return Usage(fix, "unknown command %q for %q", word, cmd.CommandPath())
}

// below are the commands, however deep under cmd, that a word names or that say
// they are meant by it.
func below(cmd *cobra.Command, word string) (paths []string) {
	for _, c := range cmd.Commands() {
		if !c.IsAvailableCommand() {
			continue
		}
		if c.Name() == word || slices.Contains(c.SuggestFor, word) {
			paths = append(paths, c.CommandPath())
		}
		paths = append(paths, below(c, word)...)
	}
	return paths
}

// UnknownFlag turns what pflag says into the error that people see.
func UnknownFlag(cmd *cobra.Command, err error) error {
	text := err.Error()
	if args := cmd.Flags().Args(); cmd.HasSubCommands() && len(args) > 0 {
		return UnknownCommand(cmd, args[0])
	}
	if strings.HasPrefix(text, "flag needs an argument: --json") {
		return Usage("--json FIELDS, with "+strings.Join(jsonFields(cmd), ", "), "--json needs the names of fields")
	}
	var bad *pflag.InvalidValueError
	if errors.As(err, &bad) {
		return badValue(cmd, bad)
	}
	name, isUnknown := strings.CutPrefix(text, "unknown flag: --")
	if !isUnknown {
		return Usage(cmd.CommandPath()+" --help", "%s", text)
	}
	var names []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	fix := didYouMean(name, names)
	if fix != "" {
		fix = strings.Replace(fix, `"`, `"--`, 1)
	} else {
		fix = cmd.CommandPath() + " --help"
	}
	return Usage(fix, "unknown flag --%s for %q", name, cmd.CommandPath())
}

// badValue says what a flag takes, without the words of Go's parsers.
func badValue(cmd *cobra.Command, bad *pflag.InvalidValueError) error {
	f := bad.GetFlag()
	why := bad.Unwrap()
	var wrong *wrongWord
	if errors.As(why, &wrong) {
		return NotAWord(f.Name, wrong.word, wrong.words)
	}
	var number *strconv.NumError
	if errors.As(why, &number) {
		kind := "whole number"
		if f.Value.Type() == "bool" {
			kind = "true or false"
		}
		why = fmt.Errorf("%q is not a %s", bad.GetValue(), kind)
	}
	return Usage(cmd.CommandPath()+" --help", "--%s: %v", f.Name, why)
}

// annotationFields holds the fields of the kind a command prints.
const annotationFields = "prism.fields"

func jsonFields(cmd *cobra.Command) []string {
	return strings.Split(cmd.Annotations[annotationFields], ",")
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

func parseColor(s string) (iostreams.ColorMode, error) {
	mode, err := iostreams.ParseColorMode(s)
	if err != nil {
		return mode, Usage("use one of: auto, always, never", "--color: %v", err)
	}
	return mode, nil
}

const annotationNoFiles = "prism.nofiles"

// SkipFiles marks a command that must work whatever the configuration files
// say, such as the one that checks them.
func SkipFiles(cmd *cobra.Command) {
	if cmd.Annotations == nil {
		cmd.Annotations = map[string]string{}
	}
	cmd.Annotations[annotationNoFiles] = "true"
}

// WithoutFiles reports whether the command was marked with SkipFiles.
func WithoutFiles(cmd *cobra.Command) bool { return cmd.Annotations[annotationNoFiles] != "" }

// KindOf is the kind that a command prints; "" for none.
func KindOf(cmd *cobra.Command) string { return cmd.Annotations[annotationKind] }

// IsList reports whether a command prints many things of its kind.
func IsList(cmd *cobra.Command) bool { return cmd.Annotations[annotationList] != "" }
