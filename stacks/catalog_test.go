package stacks

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/goccy/go-yaml"
	"golang.org/x/crypto/bcrypt"

	"github.com/prism-data-layer/prism/pkg/config"
	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/stacks/catalog"
	"github.com/prism-data-layer/prism/stacks/probe"
)

// testProject is a project in a folder of the test's own.
func testProject(t *testing.T) Project {
	t.Helper()
	root := t.TempDir()
	return Project{
		ID: "shop-1a2b3c", Root: root, State: filepath.Join(root, "state"), Native: filepath.Join(root, "native"),
		Socket: filepath.Join(root, "shop.sock"), Lookup: func(string) (string, bool) { return "", false },
		cost: bcrypt.MinCost, // under the race detector the usual one takes a second
	}
}

// everyInstance is each stack of the catalogue in each of its forms, whether or
// not it could run here.
func everyInstance(t *testing.T, p Project) []*Instance {
	t.Helper()
	list, err := Catalog()
	if err != nil {
		t.Fatal(err)
	}
	var out []*Instance
	for _, s := range list {
		for _, form := range []Form{FormContainer, FormNative} {
			if form == FormNative && s.Native == nil {
				continue
			}
			pl := &Plan{Project: p}
			pl.add(s, form, "/usr/bin/true")
			if err := pl.assignPorts(); err != nil {
				t.Fatal(err)
			}
			if err := pl.Instances[0].fill(); err != nil {
				t.Fatal(err)
			}
			out = append(out, pl.Instances[0])
		}
	}
	return out
}

func TestEveryStackOfTheCatalogueIsFilledInInEachForm(t *testing.T) {
	t.Parallel()
	p := testProject(t)
	names := map[string]bool{}
	for _, i := range everyInstance(t, p) {
		names[i.Stack.Name] = true
		if probe.Says(i.Probe().Kind) == "" || i.Probe().Addr == "" {
			t.Errorf("%s (%s) is asked by %+v", i.Stack.Name, i.Form, i.Probe())
		}
		folder := filepath.Join(t.TempDir(), "files")
		if err := i.writeFiles(folder); err != nil {
			t.Errorf("%s (%s): %v", i.Stack.Name, i.Form, err)
		}
		for _, f := range i.files() {
			text, err := os.ReadFile(filepath.Join(folder, f.Name))
			if err != nil || strings.Contains(string(text), "{{") || strings.Contains(string(text), "<no value>") {
				t.Errorf("%s (%s): %s is\n%s\n%v", i.Stack.Name, i.Form, f.Name, text, err)
			}
			if strings.HasSuffix(f.Name, ".yaml") {
				if err := yaml.Unmarshal(text, new(map[string]any)); err != nil {
					t.Errorf("%s (%s): %s: %v", i.Stack.Name, i.Form, f.Name, err)
				}
			}
		}
		if name, driver, options, ok := i.Backend(); ok {
			if _, err := config.ParseGateway("g.yaml", []byte("apiVersion: prism/v1\nbackends:\n  - {name: "+name+", driver: "+driver+", options: "+options+"}\n"), config.Load{}); err != nil {
				t.Errorf("%s (%s): the backend %s: %v", name, i.Form, options, err)
			}
		}
		if i.Stack.Missing == "" {
			t.Errorf("%s does not say what of it was never run", i.Stack.Name)
		}
	}
	for _, want := range []string{"clickhouse", "dex", "minio", "nats", "otel-collector", "postgres", "redis", "signoz"} {
		if !names[want] {
			t.Errorf("there is no %s", want)
		}
	}
}

// A composeFile is what our rules are about.
type composeFile struct {
	Name     string                    `yaml:"name"`
	Services map[string]composeService `yaml:"services"`
	Networks map[string]map[string]any `yaml:"networks"`
	Volumes  map[string]map[string]any `yaml:"volumes"`
}

type composeService struct {
	Image         string            `yaml:"image"`
	ContainerName string            `yaml:"container_name"`
	Ports         []string          `yaml:"ports"`
	Networks      []string          `yaml:"networks"`
	Restart       string            `yaml:"restart"`
	Grace         string            `yaml:"stop_grace_period"`
	Memory        string            `yaml:"mem_limit"`
	PIDs          int               `yaml:"pids_limit"`
	Security      []string          `yaml:"security_opt"`
	Privileged    bool              `yaml:"privileged"`
	NetworkMode   string            `yaml:"network_mode"`
	Labels        map[string]string `yaml:"labels"`
	Volumes       []struct {
		Type, Source, Target string
		ReadOnly             bool `yaml:"read_only"`
	} `yaml:"volumes"`
}

var (
	loopbackPort  = regexp.MustCompile(`^127\.0\.0\.1:\$\{PRISM_PORT_[A-Z0-9_]+\}:\d+$`)
	composeWord   = regexp.MustCompile(`\$\{([^}]*)\}`)
	imageVersion  = regexp.MustCompile(`:v?(\d+\.\d+\.|RELEASE\.|\d+\.\d+-)`)
	composeMemory = regexp.MustCompile(`^(\d+)([mg])$`)
)

func bytesOf(t *testing.T, s string) config.Size {
	t.Helper()
	m := composeMemory.FindStringSubmatch(s)
	if m == nil {
		t.Fatalf("the limit of memory is %q", s)
	}
	n, err := config.ParseSize(m[1] + map[string]string{"m": "MiB", "g": "GiB"}[m[2]])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestContainersKeepToOurRules(t *testing.T) {
	t.Parallel()
	var support config.Size
	for _, i := range everyInstance(t, testProject(t)) {
		if i.Form != FormContainer {
			continue
		}
		text := i.compose
		var c composeFile
		if err := yaml.Unmarshal(text, &c); err != nil {
			t.Fatalf("%s: %v", i.Stack.Name, err)
		}
		named, env := map[string]bool{}, i.Compose().Env
		for _, m := range composeWord.FindAllStringSubmatch(string(text), -1) {
			named[m[1]] = true
			if _, ok := env[m[1]]; !ok {
				t.Errorf("%s names ${%s}, which nobody sets", i.Stack.Name, m[1])
			}
		}
		for name := range env {
			if !named[name] && !slices.Contains([]string{"PRISM_PROJECT", "PRISM_DATA", "PRISM_UID", "PRISM_GID"}, name) {
				t.Errorf("%s does not use %s", i.Stack.Name, name)
			}
		}
		if c.Name != "" || len(c.Networks) == 0 {
			t.Errorf("%s: the name is %q, the networks are %v", i.Stack.Name, c.Name, c.Networks)
		}
		for _, n := range append(slices.Collect(mapValues(c.Networks)), slices.Collect(mapValues(c.Volumes))...) {
			if len(n) != 0 {
				t.Errorf("%s: a network or volume is %v: its name must be the project's", i.Stack.Name, n)
			}
		}
		var total config.Size
		for name, s := range c.Services {
			what := i.Stack.Name + "/" + name
			total += bytesOf(t, s.Memory)
			checkService(t, what, s, c)
		}
		if total != i.Stack.Memory {
			t.Errorf("%s: stack.yaml says %s, and the containers may take %s", i.Stack.Name, i.Stack.Memory, total)
		}
		if slices.Contains([]string{"signoz", "dex", "otel-collector"}, i.Stack.Name) {
			support += total
		}
	}
	if support >= 3e9 {
		t.Errorf("the support services may take %s together: 3GB is too much", support)
	}
}

func checkService(t *testing.T, what string, s composeService, c composeFile) {
	t.Helper()
	if !regexp.MustCompile(`^\$\{PRISM_IMAGE_[A-Z0-9_]+\}$`).MatchString(s.Image) {
		t.Errorf("%s: the image is %q", what, s.Image)
	}
	for _, p := range s.Ports {
		if !loopbackPort.MatchString(p) {
			t.Errorf("%s: the port %q is not one of loopback, by its variable", what, p)
		}
	}
	task := s.Labels["prism.task"] == "true"
	if s.Restart != "" && (s.Restart != "no" || !task) {
		t.Errorf("%s: the restart policy is %q: that is the supervisor's affair", what, s.Restart)
	}
	if s.Grace != "10s" || s.PIDs == 0 || s.Privileged || s.NetworkMode != "" || s.ContainerName != "" || !slices.Contains(s.Security, "no-new-privileges:true") {
		t.Errorf("%s: grace %q, pids %d, privileged %v, network %q, name %q, security %v", what, s.Grace, s.PIDs, s.Privileged, s.NetworkMode, s.ContainerName, s.Security)
	}
	for _, n := range s.Networks {
		if _, ok := c.Networks[n]; !ok {
			t.Errorf("%s: there is no network %q", what, n)
		}
	}
	if len(s.Networks) == 0 {
		t.Errorf("%s has no network of the project", what)
	}
	for _, v := range s.Volumes {
		_, declared := c.Volumes[v.Source]
		ours := strings.HasPrefix(v.Source, "${PRISM_FILE_") && v.ReadOnly || v.Source == "${PRISM_DATA}"
		if v.Type == "volume" && !declared || v.Type == "bind" && !ours || v.Type != "volume" && v.Type != "bind" {
			t.Errorf("%s: the mount %+v is none of ours", what, v)
		}
	}
}

func mapValues(m map[string]map[string]any) func(func(map[string]any) bool) {
	return func(yield func(map[string]any) bool) {
		for _, v := range m {
			if !yield(v) {
				return
			}
		}
	}
}

func TestImagesArePinned(t *testing.T) {
	t.Parallel()
	list, err := Catalog()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range list {
		for _, i := range s.Images {
			if !imageVersion.MatchString(i.Image) || strings.HasSuffix(i.Image, ":latest") {
				t.Errorf("%s: the image %s has no exact version", s.Name, i.Image)
			}
		}
	}
}

func TestFoldersHoldNothingThatNobodyUses(t *testing.T) {
	t.Parallel()
	list, err := Catalog()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range list {
		known := []string{"stack.yaml", "compose.yaml"}
		for _, f := range s.Files {
			known = append(known, f.Name)
		}
		entries, err := fs.ReadDir(catalog.Folders(), s.Name)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if !slices.Contains(known, e.Name()) {
				t.Errorf("%s/%s is in no stack.yaml", s.Name, e.Name())
			}
		}
	}
}

func TestFindNamesTheNearestStack(t *testing.T) {
	t.Parallel()
	s, err := Find("redis")
	if err != nil || s.Name != "redis" {
		t.Fatalf("found %v, %v", s, err)
	}
	_, err = Find("reddis")
	e := prism.From(err)
	if e.Reason != prism.ReasonNotFound || e.Meta["kind"] != "usage" || !strings.HasPrefix(e.Meta["fix"], "did you mean redis?") {
		t.Errorf("got %v with %v", err, e.Meta)
	}
	for _, name := range []string{"", "..", "../redis", "redis/..", "oracle"} {
		if _, err := Find(name); prism.From(err).Reason != prism.ReasonNotFound {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestAStackFileIsReadStrictly(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ text, want string }{
		{"apiVersion: prism/v1\nkind: Stack\nname: redis\nabout: x\nport: 3\nprobe: {kind: redis, addr: x}\n", `did you mean "ports"?`},
		{"apiVersion: prism/v1\nkind: Stack\nname: other\nabout: x\nprobe: {kind: redis, addr: x}\n", "lies in the folder redis"},
		{"apiVersion: prism/v1\nkind: Gateway\nname: redis\nabout: x\nprobe: {kind: redis, addr: x}\n", "kind"},
	} {
		_, err := read(fstest.MapFS{"redis/stack.yaml": {Data: []byte(c.text)}}, "redis")
		got := ""
		if err != nil {
			got = err.Error()
			if e := (*config.Error)(nil); errors.As(err, &e) {
				got = e.Render()
			}
		}
		if !strings.Contains(got, c.want) {
			t.Errorf("of\n%s\ngot %s\nwant %s", c.text, got, c.want)
		}
	}
}
