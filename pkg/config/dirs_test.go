package config

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/prism-data-layer/prism/pkg/prism"
)

func TestDirsFollowXDG(t *testing.T) {
	t.Parallel()
	d := FindDirs(lookup(), "/home/ann", "/tmp")
	if d.Config != "/home/ann/.config/prism" || d.State != "/home/ann/.local/state/prism" || d.Cache != "/home/ann/.cache/prism" || !strings.HasPrefix(d.Runtime, "/tmp/prism-") || d.UserFile() != "/home/ann/.config/prism/config.yaml" || d.Native() != "/home/ann/.local/share/prism/native" {
		t.Errorf("dirs = %+v", d)
	}
	d = FindDirs(lookup("XDG_CONFIG_HOME", "/c", "XDG_STATE_HOME", "relative", "XDG_CACHE_HOME", "/k", "XDG_RUNTIME_DIR", "/run/user/1"), "/home/ann", "/tmp")
	if d != (Dirs{"/c/prism", "/home/ann/.local/state/prism", "/k/prism", "/home/ann/.local/share/prism", "/run/user/1/prism"}) {
		t.Errorf("dirs = %+v", d)
	}
	if d, err := SystemDirs(); err != nil || !filepath.IsAbs(d.State) {
		t.Errorf("dirs = %+v, %v", d, err)
	}
}

func TestProjectIsFoundUpwards(t *testing.T) {
	t.Parallel()
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	project := filepath.Join(root, "My Shop")
	deep := filepath.Join(project, "a", "b")
	if err := errors.Join(os.MkdirAll(deep, 0o755), os.WriteFile(filepath.Join(project, ProjectFile), nil, 0o600), os.Symlink(deep, filepath.Join(root, "short"))); err != nil {
		t.Fatal(err)
	}
	p, err := FindProject(deep)
	if err != nil || p.Root != project || p.File != filepath.Join(project, ProjectFile) {
		t.Errorf("place = %+v, %v", p, err)
	}
	if !regexp.MustCompile(`^my-shop-[0-9a-f]{6}$`).MatchString(p.ID) || !prism.ValidName(p.ContextName()) {
		t.Errorf("id = %s, context = %s", p.ID, p.ContextName())
	}
	if again, _ := FindProject(filepath.Join(root, "short")); again != p {
		t.Errorf("by a link: %+v, want %+v", again, p)
	}
	if other, _ := FindProject(root); other.File != "" || other.Root != root || other.ID == p.ID {
		t.Errorf("without a file: %+v", other)
	}
	if _, err := FindProject(filepath.Join(root, "none")); err == nil {
		t.Error("a folder that is not there is a project")
	}
	for name, want := range map[string]string{"/": "project-", "/x/ÄÖ": "project-", "/" + strings.Repeat("a", 90): strings.Repeat("a", 40) + "-"} {
		if id := projectID(name); !strings.HasPrefix(id, want) || !prism.ValidName("dev-"+id) {
			t.Errorf("projectID(%q) = %q", name, id)
		}
	}
	if got := p.StateDir(Dirs{State: "/s"}); got != "/s/dev/"+p.ID {
		t.Errorf("state = %s", got)
	}
}

func TestGatewayFileIsUsedIfThere(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := Place{Root: dir}
	if got := p.GatewayFile(nil); got != "" {
		t.Errorf("got %q", got)
	}
	_ = os.WriteFile(filepath.Join(dir, "prism.yaml"), nil, 0o600)
	if got := p.GatewayFile(nil); got != filepath.Join(dir, "prism.yaml") {
		t.Errorf("got %q", got)
	}
	named, err := ParseProject("p", []byte("apiVersion: prism/v1\ngateway: conf/g.yaml\n"), Load{})
	if got := p.GatewayFile(named); err != nil || got != filepath.Join(dir, "conf", "g.yaml") {
		t.Errorf("one that is named and not there must be missed, not ignored: %q, %v", got, err)
	}
}

func TestSocketFitsItsAddress(t *testing.T) {
	t.Parallel()
	p := Place{Root: "/p", ID: "shop-123456"}
	if got := p.Socket(Dirs{Runtime: "/run/user/1/prism"}, "/tmp"); got != "/run/user/1/prism/shop-123456.sock" {
		t.Errorf("socket = %s", got)
	}
	long := "/" + strings.Repeat("x", 95)
	seen := map[string]bool{}
	for _, d := range []Dirs{{Runtime: long}, {Runtime: long[:70]}, {Runtime: "/run"}} {
		for _, temp := range []string{"/tmp", long} {
			p.ID = strings.Repeat("y", 47)
			got := p.Socket(d, temp)
			if len(got) > maxSocketPath || !filepath.IsAbs(got) {
				t.Errorf("socket of %d bytes: %s", len(got), got)
			}
			seen[got] = true
		}
	}
	if len(seen) < 3 {
		t.Errorf("sockets = %v", seen)
	}
}

func TestDataDirIgnoresItself(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := Place{Root: dir}
	for range 2 { // the second time changes nothing
		got, err := p.MakeDataDir()
		if err != nil || got != filepath.Join(dir, ".prism", "data") {
			t.Fatalf("got %q, %v", got, err)
		}
	}
	if data, err := os.ReadFile(filepath.Join(dir, ".prism", ".gitignore")); err != nil || string(data) != "*\n" {
		t.Errorf(".gitignore = %q, %v", data, err)
	}
	planted := t.TempDir()
	if err := os.Symlink(t.TempDir(), filepath.Join(planted, ".prism")); err != nil {
		t.Fatal(err)
	}
	if _, err := (Place{Root: planted}).MakeDataDir(); err == nil {
		t.Error("a planted link was followed")
	}
	if _, err := (Place{Root: filepath.Join(dir, "none")}).MakeDataDir(); err == nil {
		t.Error("a folder that is not there was used")
	}
}

func TestPrivateFoldersAreOurs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	mine := filepath.Join(dir, "a", "b")
	if err := errors.Join(MakePrivate(mine), MakePrivate(mine)); err != nil {
		t.Fatal(err)
	}
	if info, _ := os.Stat(mine); info.Mode().Perm() != 0o700 {
		t.Errorf("mode = %v", info.Mode())
	}
	if err := os.Chmod(mine, 0o777); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link")
	file := filepath.Join(dir, "file")
	_ = errors.Join(os.Symlink(dir, link), os.WriteFile(file, nil, 0o600))
	for _, bad := range []string{mine, link, file, filepath.Join(file, "x")} {
		if err := MakePrivate(bad); err == nil {
			t.Errorf("%s was taken", bad)
		}
	}
}
