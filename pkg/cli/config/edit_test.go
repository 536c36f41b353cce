package config_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prism-data-layer/prism/pkg/cli/clitest"
)

const mine = "# mine\napiVersion: prism/v1\nkind: User\ncontexts:\n  - name: prod # the real one\n"

// editor makes a program that does to the file of each call what the steps say,
// one after the other, in sh with the file as $1.
func editor(t *testing.T, r *clitest.Rig, steps ...string) {
	t.Helper()
	script := "#!/bin/sh\nn=$(cat " + r.Dir + "/count 2>/dev/null || echo 0); n=$((n+1)); echo $n > " + r.Dir + "/count\ncp \"$1\" " + r.Dir + "/seen.$n\ncase $n in\n"
	for i, s := range steps {
		script += string(rune('1'+i)) + ") " + s + ";;\n"
	}
	script += "esac\n"
	path := r.Write("editor.sh", script)
	if err := os.Chmod(path, 0o755); err != nil {
		t.Fatal(err)
	}
	r.Env["EDITOR"], r.TTY = path, true
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestEditOpensAgainOnAMistake(t *testing.T) {
	t.Parallel()
	r := clitest.Offline(t)
	file := r.Write(".config/prism/config.yaml", mine)
	editor(t, r, `sed -i 's/^kind: User/kind: User\ncolour: never/' "$1"`, `sed -i 's/^colour/color/' "$1"`)
	out := r.OK("config", "edit")
	if want := strings.Replace(mine, "kind: User", "kind: User\ncolor: never", 1); read(t, file) != want || !strings.Contains(out, "saved ") {
		t.Errorf("the file is\n%s\n%s", read(t, file), out)
	}
	if got := read(t, r.Dir+"/seen.2"); !strings.HasPrefix(got, "# prismctl: this was not saved. Correct it, or leave it as it is to give up.\n# prismctl: line 6: unknown key \"colour\"; did you mean \"color\"?\n# mine\n") {
		t.Errorf("the second time it shows\n%s", got)
	}
	if left, _ := filepath.Glob(r.Dir + "/prism-edit-*"); len(left) != 0 {
		t.Errorf("drafts are left: %v", left)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm()&0o077 != 0 {
		t.Errorf("the mode is %v (%v)", info.Mode(), err)
	}
}

func TestADryRunOfEditShowsWhatItWouldSave(t *testing.T) {
	t.Parallel()
	r := clitest.Offline(t)
	file := r.Write(".config/prism/config.yaml", mine)
	editor(t, r, `sed -i 's/name: prod/name: live/' "$1"`)
	r.Env["NO_COLOR"] = "1"
	want := "would save /home/ann/.config/prism/config.yaml (dry run)\n-   - name: prod # the real one\n+   - name: live # the real one\n"
	if out := r.OK("config", "edit", "--dry-run"); out != want || read(t, file) != mine {
		t.Errorf("got\n%s\nwant\n%s\nand the file is\n%s", out, want, read(t, file))
	}
}

func TestEditLeavesTheFileAlone(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct {
		steps []string
		code  int
		words []string
	}{
		"no change":     {[]string{"true"}, 0, []string{"nothing was changed"}},
		"given up":      {[]string{`echo "colour: x" >> "$1"`, "true"}, 7, []string{"unknown key \"colour\"", "your text is kept: /home/ann/prism-edit-"}},
		"a taken back":  {[]string{`echo "colour: x" >> "$1"`, `sed -i '/colour/d' "$1"`}, 0, []string{"nothing was changed"}},
		"editor failed": {[]string{"exit 3"}, 5, []string{"the editor", "failed", "set EDITOR"}},
	} {
		r := clitest.Offline(t)
		file := r.Write(".config/prism/config.yaml", mine)
		editor(t, r, c.steps...)
		r.Want(c.code, c.words, "config", "edit")
		if read(t, file) != mine {
			t.Errorf("%s: the file is\n%s", what, read(t, file))
		}
	}
	r := clitest.Offline(t)
	r.Want(2, []string{"an editor needs a terminal"}, "config", "edit")
}

func TestEditMakesAndTakesOtherFiles(t *testing.T) {
	t.Parallel()
	r := clitest.Offline(t)
	editor(t, r, `echo "output: json" >> "$1"`, `echo "with: [redis]" >> "$1"`)
	r.OK("config", "edit")
	if got := read(t, r.Dir+"/.config/prism/config.yaml"); got != "apiVersion: prism/v1\nkind: User\noutput: json\n" {
		t.Errorf("the new file is %q", got)
	}
	project := r.Write(".prism.yaml", "apiVersion: prism/v1\n")
	r.OK("config", "edit", ".prism.yaml")
	if got := read(t, project); got != "apiVersion: prism/v1\nwith: [redis]\n" {
		t.Errorf("the project is %q", got)
	}
}

func TestSchemaOfEachKindOfFile(t *testing.T) {
	t.Parallel()
	r := clitest.Offline(t)
	for kind, key := range map[string]string{"": "listen", "gateway": "backends", "Project": "services", "User": "contexts", "Namespace": "limits", "Backend": "options"} {
		args := []string{"config", "schema"}
		if kind != "" {
			args = append(args, kind)
		}
		var s struct {
			Schema     string `json:"$schema"`
			Properties map[string]any
		}
		if err := json.Unmarshal([]byte(r.OK(args...)), &s); err != nil || s.Properties[key] == nil || s.Properties["apiVersion"] == nil || !strings.Contains(s.Schema, "2020-12") {
			t.Errorf("%q: %v, %v", kind, err, s)
		}
	}
	r.Want(3, []string{"prismctl config schema Gateway"}, "config", "schema", "Gatway")
}

func TestValidateAndShowTakeFilesForApply(t *testing.T) {
	t.Parallel()
	r := clitest.Offline(t)
	file := r.Write("objects.yaml", "apiVersion: prism/v1\nkind: Backend\nname: a\ndriver: memory\n---\napiVersion: prism/v1\nkind: Namespace\nname: b\nmodel: cache\n")
	if got := r.OK("config", "validate", file); got != "/home/ann/objects.yaml is a valid file of kind Backend and Namespace (1 backend, 1 namespace)\n" {
		t.Errorf("got %q", got)
	}
	if got := r.OK("config", "show", file); got != read(t, file) {
		t.Errorf("got\n%s", got)
	}
	r.Write("objects.yaml", "apiVersion: prism/v1\nkind: Namespace\nname: b\nmodel: cach\n")
	r.Want(7, []string{`objects.yaml:4:8: model is "cach"`, `did you mean "cache"?`}, "config", "validate", file)
}
