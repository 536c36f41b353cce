package config

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/prism"
)

const commented = `# mine
apiVersion: prism/v1  # v1
kind: User

current: prod   # careful

contexts:
  # the real thing
  - name: prod
    data: "prod:8980"  # over the VPN
    protected: true
    # ask first

  - name: stage
    data: stage:8980

color: never # always
`

func edited(t *testing.T, before string, edit func(path string) error) (string, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.yaml")
	if before != "" {
		if err := os.WriteFile(path, []byte(before), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	err := edit(path)
	after, _ := os.ReadFile(path)
	if err == nil {
		if _, bad := ParseUser(path, after, Load{}); bad != nil {
			t.Errorf("the result is not valid: %v\n%s", bad, after)
		}
	}
	return string(after), err
}

func TestEditsKeepWhatIsNotTheirs(t *testing.T) {
	t.Parallel()
	dev := Context{Name: "dev", Data: "127.0.0.1:1", Insecure: true}
	for name, c := range map[string]struct {
		before string
		edit   func(path string) error
		after  string
	}{
		"use":          {commented, func(p string) error { return (&UserFile{Path: p}).UseContext("stage") }, replaced(commented, "current: prod ", "current: stage ", "# careful\n", "# careful\nprevious: prod\n")},
		"use the same": {commented, func(p string) error { return (&UserFile{Path: p}).UseContext("prod") }, commented},
		"use and back": {commented, func(p string) error {
			return errors.Join((&UserFile{Path: p}).UseContext("stage"), (&UserFile{Path: p}).UseContext("-"))
		}, replaced(commented, "# careful\n", "# careful\nprevious: stage\n")},
		"add": {commented, func(p string) error { return (&UserFile{Path: p}).AddContext(dev) }, replaced(commented, "data: stage:8980\n", "data: stage:8980\n  - name: dev\n    data: \"127.0.0.1:1\"\n    insecure: true\n")},
		"replace": {commented, func(p string) error {
			return (&UserFile{Path: p}).AddContext(Context{Name: "prod", Data: "new:1", CA: "/ca"})
		}, replaced(commented, "\"prod:8980\"", "\"new:1\"", "protected: true", "protected: false\n    ca: /ca")},
		"replace without": {commented, func(p string) error { return (&UserFile{Path: p}).AddContext(Context{Name: "stage", Admin: "s:1"}) }, replaced(commented, "    data: stage:8980\n", "    admin: \"s:1\"\n")},
		"remove":          {commented, func(p string) error { return (&UserFile{Path: p}).RemoveContext("stage") }, replaced(commented, "  - name: stage\n    data: stage:8980\n", "")},
		"remove current":  {commented, func(p string) error { return (&UserFile{Path: p}).RemoveContext("prod") }, replaced(commented, "  - name: prod\n    data: \"prod:8980\"  # over the VPN\n    protected: true\n    # ask first\n", "", "current: prod   # careful\n", "")},
		"remove the last": {"apiVersion: prism/v1\ncontexts:  # none\n  -\n    name: a\n", func(p string) error { return (&UserFile{Path: p}).RemoveContext("a") }, "apiVersion: prism/v1\ncontexts: []  # none\n"},
		"rename":          {commented, func(p string) error { return (&UserFile{Path: p}).RenameContext("prod", "live") }, replaced(commented, "current: prod", "current: live", "- name: prod", "- name: live")},
		"new file": {"", func(p string) error {
			return errors.Join((&UserFile{Path: p}).AddContext(dev), (&UserFile{Path: p}).UseContext("dev"))
		}, "apiVersion: prism/v1\nkind: User\ncurrent: dev\ncontexts:\n  - name: dev\n    data: \"127.0.0.1:1\"\n    insecure: true\n"},
		"empty list":  {"apiVersion: prism/v1\ncontexts: [] # none\noutput: json\n", func(p string) error { return (&UserFile{Path: p}).AddContext(Context{Name: "a"}) }, "apiVersion: prism/v1\ncontexts:  # none\n  - name: a\noutput: json\n"},
		"no value":    {"apiVersion: prism/v1\ncontexts:\n", func(p string) error { return (&UserFile{Path: p}).AddContext(Context{Name: "a"}) }, "apiVersion: prism/v1\ncontexts:\n  - name: a\n"},
		"no line end": {"apiVersion: prism/v1", func(p string) error { return (&UserFile{Path: p}).AddContext(Context{Name: "a"}) }, "apiVersion: prism/v1\ncontexts:\n  - name: a\n"},
		"flow item": {"apiVersion: prism/v1\ncontexts:\n- {name: a, data: 'x:1'}\n", func(p string) error {
			return errors.Join((&UserFile{Path: p}).RenameContext("a", "b"), (&UserFile{Path: p}).AddContext(Context{Name: "c"}))
		}, "apiVersion: prism/v1\ncontexts:\n- {name: b, data: 'x:1'}\n- name: c\n"},
		"value of lines": {"apiVersion: prism/v1\ncontexts:\n  - name: a\n    ca: >-\n      b\n    data: \"x:1\"\n", func(p string) error { return (&UserFile{Path: p}).AddContext(Context{Name: "a", Data: "y:2", CA: "c"}) }, "apiVersion: prism/v1\ncontexts:\n  - name: a\n    ca: c\n    data: \"y:2\"\n"},
		"crlf":           {"apiVersion: prism/v1\r\ncontexts:\r\n  - name: a\r\n", func(p string) error { return (&UserFile{Path: p}).UseContext("a") }, "apiVersion: prism/v1\r\ncurrent: a\r\ncontexts:\r\n  - name: a\r\n"},
	} {
		after, err := edited(t, c.before, c.edit)
		if err != nil || after != c.after {
			t.Errorf("%s: %v\ngot:\n%s\nwant:\n%s", name, err, after, c.after)
		}
	}
}

func replaced(s string, pairs ...string) string {
	for i := 0; i < len(pairs); i += 2 {
		s = strings.Replace(s, pairs[i], pairs[i+1], 1)
	}
	return s
}

func TestEditsRefuseWhatTheyCannotDo(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		before string
		edit   func(path string) error
		want   prism.Reason
	}{
		"use of none":        {commented, func(p string) error { return (&UserFile{Path: p}).UseContext("none") }, prism.ReasonNotFound},
		"no previous":        {commented, func(p string) error { return (&UserFile{Path: p}).UseContext("-") }, prism.ReasonFailedPrecond},
		"remove of none":     {commented, func(p string) error { return (&UserFile{Path: p}).RemoveContext("none") }, prism.ReasonNotFound},
		"rename of none":     {commented, func(p string) error { return (&UserFile{Path: p}).RenameContext("none", "x") }, prism.ReasonNotFound},
		"rename to another":  {commented, func(p string) error { return (&UserFile{Path: p}).RenameContext("prod", "stage") }, prism.ReasonAlreadyExists},
		"bad name":           {commented, func(p string) error { return (&UserFile{Path: p}).AddContext(Context{Name: "../x"}) }, prism.ReasonInvalidConfig},
		"broken file":        {"apiVersion: prism/v1\nx: 1\n", func(p string) error { return (&UserFile{Path: p}).AddContext(Context{Name: "a"}) }, prism.ReasonInvalidConfig},
		"brackets":           {"apiVersion: prism/v1\ncontexts: [{name: a}]\n", func(p string) error { return (&UserFile{Path: p}).AddContext(Context{Name: "b"}) }, prism.ReasonFailedPrecond},
		"remove in brackets": {"apiVersion: prism/v1\ncontexts: [{name: a}]\n", func(p string) error { return (&UserFile{Path: p}).RemoveContext("a") }, prism.ReasonFailedPrecond},
		"item in brackets": {"apiVersion: prism/v1\ncontexts:\n  - {name: a, ca: x}\n", func(p string) error {
			return (&UserFile{Path: p}).AddContext(Context{Name: "a", Insecure: true, CA: "x"})
		}, prism.ReasonFailedPrecond},
		"unset in brackets": {"apiVersion: prism/v1\ncontexts:\n  - {name: a, ca: x}\n", func(p string) error { return (&UserFile{Path: p}).AddContext(Context{Name: "a", Data: "", CA: ""}) }, prism.ReasonFailedPrecond},
		"all in brackets":   {"{apiVersion: prism/v1, contexts: [{name: a}]}\n", func(p string) error { return (&UserFile{Path: p}).UseContext("a") }, prism.ReasonFailedPrecond},
		"add to brackets":   {"{apiVersion: prism/v1}\n", func(p string) error { return (&UserFile{Path: p}).AddContext(Context{Name: "a"}) }, prism.ReasonFailedPrecond},
	} {
		after, err := edited(t, c.before, c.edit)
		if !errors.Is(err, c.want) || after != c.before {
			t.Errorf("%s: got %v, want %s; the file:\n%s", name, err, c.want, after)
		}
	}
}

func TestWritesAreWholeAndPrivate(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "new", "config.yaml")
	for _, text := range []string{"one", "two"} {
		if err := WriteFile(path, []byte(text)); err != nil {
			t.Fatal(err)
		}
		if got, _ := os.ReadFile(path); string(got) != text {
			t.Errorf("got %q", got)
		}
	}
	if info, _ := os.Stat(path); info.Mode().Perm() != 0o600 {
		t.Errorf("mode = %v", info.Mode())
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	_ = WriteFile(path, []byte("three"))
	if info, _ := os.Stat(path); info.Mode().Perm() != 0o600 {
		t.Errorf("others may still read: %v", info.Mode())
	}
	victim := filepath.Join(dir, "victim")
	link := filepath.Join(dir, "link")
	if err := errors.Join(os.WriteFile(victim, []byte("mine"), 0o600), os.Symlink(victim, link)); err != nil {
		t.Fatal(err)
	}
	if err := WriteFile(link, []byte("planted")); !errors.Is(err, prism.ReasonPermissionDenied) {
		t.Errorf("a link was written through: %v", err)
	}
	if got, _ := os.ReadFile(victim); string(got) != "mine" {
		t.Errorf("the victim says %q", got)
	}
	if err := WriteFile(filepath.Join(victim, "x"), nil); err == nil {
		t.Error("a file below a file was written")
	}
	left, _ := filepath.Glob(filepath.Join(dir, "new", ".*"))
	if len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestWatchTellsWholeChanges(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "prism.yaml")
	write := func(s string) {
		if err := os.WriteFile(path, []byte(s), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("one")
	c := clock.NewFake(time.Unix(0, 0))
	ctx, cancel := context.WithCancel(context.Background())
	told, done := 0, make(chan struct{})
	go func() { defer close(done); Watch(ctx, c, path, time.Second, func() { told++ }) }()
	look := func(want int) {
		t.Helper()
		for end := time.Now().Add(5 * time.Second); c.Timers() == 0; {
			if time.Now().After(end) {
				t.Fatal("nothing waits")
			}
			time.Sleep(time.Millisecond)
		}
		c.Advance(time.Second)
		for end := time.Now().Add(5 * time.Second); c.Timers() == 0; {
			if time.Now().After(end) {
				t.Fatal("nothing waits")
			}
			time.Sleep(time.Millisecond)
		}
		if told != want {
			t.Fatalf("told %d times, want %d", told, want)
		}
	}
	look(0)
	write("half")
	look(0) // seen once: perhaps it is still being written
	write("whole")
	look(0)
	look(1)
	look(1)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	look(1)
	look(1)
	write("whole")
	look(1) // away and back is no change
	write("same")
	look(1)
	look(2)
	cancel()
	<-done
}
