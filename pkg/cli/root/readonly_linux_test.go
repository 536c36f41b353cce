package root_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/prism-data-layer/prism/pkg/cli/clitest"
)

// keepers are the commands that write files: what they are given, and a part of
// the path that their error names.
var keepers = map[string]struct {
	args []string
	path string
}{
	"context add":    {[]string{"context", "add", "more", "--data", "h:1"}, ".config/prism/config.yaml"},
	"context use":    {[]string{"context", "use", "lab"}, ".config/prism/config.yaml"},
	"context rm":     {[]string{"context", "rm", "lab"}, ".config/prism/config.yaml"},
	"context rename": {[]string{"context", "rename", "lab", "bench"}, ".config/prism/config.yaml"},
	"kv export":      {[]string{"kv", "export", "-f", "OUT"}, "out.jsonl"},
	"kv export over": {[]string{"kv", "export", "-f", "OLD", "--force"}, "old.jsonl"},
	"a bundle":       {[]string{"doctor", "--bundle", "DIR/bundle.zip"}, "bundle.zip"},
	"a dev bundle":   {[]string{"dev", "bundle", "DIR/bundle.zip"}, "bundle.zip"},
	"dev export":     {[]string{"dev", "export", "DIR/out", "--with", "redis"}, "/home/ann/"},
	"config edit":    {[]string{"config", "edit"}, "prism-edit"},
}

// What cannot be written is one error that names it and what to do; what was
// there stays as it was, whole, with nothing beside it.
func TestADiskThatCannotBeWrittenTo(t *testing.T) {
	if !clitest.OwnMounts(t) {
		return
	}
	for disk, spoil := range map[string]func(*testing.T, string){"read-only": clitest.ReadOnly, "full": clitest.Full} {
		for name, c := range keepers {
			t.Run(name+", "+disk, func(t *testing.T) {
				t.Parallel()
				r, _ := line(t, "kv export")
				r.Write("old.jsonl", "{}\n")
				r.Write("old.json", "{}\n")
				r.Env["EDITOR"], r.TTY, r.Env["NO_COLOR"] = "false", name == "config edit", "1"
				args := slices.Clone(c.args)
				for i, w := range args {
					args[i] = strings.NewReplacer("OUT", r.Dir+"/out.jsonl", "OLD", r.Dir+"/old.jsonl", "DIR", r.Dir).Replace(w)
				}
				spoil(t, r.Dir)
				before := clitest.Tree(t, r.Dir)
				got := r.Run(args...)
				if short(t, got); got.Code != 1 || !strings.Contains(got.ErrOut, c.path) || !strings.Contains(got.ErrOut, "\n  fix: ") || strings.Contains(got.ErrOut, "see the message") {
					t.Errorf("exit %d, want 1, the path and a fix\n%s%s", got.Code, got.Out, got.ErrOut)
				}
				if after := clitest.Tree(t, r.Dir); !slices.Equal(before, after) {
					t.Errorf("it left\n%q\nwhere there was\n%q", after, before)
				}
			})
		}
	}
}

// What only reads does so wherever it is: what it would remember is for speed.
func TestOnADiskThatCannotBeWrittenToAllElseWorks(t *testing.T) {
	if !clitest.OwnMounts(t) {
		return
	}
	try := func(name string, args []string) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, words := line(t, name)
			if args != nil {
				words = args
			}
			clitest.ReadOnly(t, r.Dir)
			if got := r.Run(words...); got.Code != 0 || strings.Contains(got.Out+got.ErrOut, "read-only") {
				t.Errorf("exit %d\n%s%s", got.Code, got.Out, got.ErrOut)
			}
		})
	}
	for path := range printers() {
		if _, keeps := keepers[path]; !keeps && path != "doctor" { // it finds that out
			try(path, nil)
		}
	}
	try("__complete", []string{"__complete", "namespace", "describe", ""})
	try("dev list", []string{"dev", "list"})
	try("dev down", []string{"dev", "down"})
	try("loadtest list", []string{"loadtest", "list"})
}
