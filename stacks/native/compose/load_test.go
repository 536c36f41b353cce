package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// stack is a project's folder with a compose.yaml.
func stack(t *testing.T, text string) Request {
	t.Helper()
	root := filepath.Join(t.TempDir(), "a project, ünïcode")
	dir := filepath.Join(root, "stack")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, composeName), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return Request{Project: "p1", Root: root, Stack: "it", Dir: dir, Env: map[string]string{"IMAGE": "redis:8"}}
}

func with(lines string) string { return "services:\n  it:\n    image: ${IMAGE}\n" + lines }

func TestAStackIsReadAndMadeOurs(t *testing.T) {
	t.Parallel()
	r := stack(t, with("    ports: [\"127.0.0.1:6379:6379\", \"[::1]:6379:6379\"]\n    volumes: [data:/data, ./compose.yaml:/x:ro]\n    environment: [HOME, A=$$b]\n    labels: {prism.task: \"true\"}\nvolumes: {data: {}}\nx-any: [1]\nname: ../../evil\n"))
	p, err := load(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	s := p.Services["it"]
	if p.Name != "prism-p1-it" || s.Image != "redis:8" || s.Labels[labelRoot] != r.Root || s.Labels[labelTask] != "true" || s.Restart != "no" || s.PullPolicy != "never" {
		t.Errorf("got %s: %+v", p.Name, s)
	}
	if v := s.Environment["HOME"]; v != nil {
		t.Errorf("it sees our HOME: %s", *v)
	}
	if v := s.Environment["A"]; v == nil || *v != "$b" {
		t.Errorf("A is %v", v)
	}
	if p.Networks["default"].Labels[labelProject] != "p1" || p.Volumes["data"].Labels[labelStack] != "it" {
		t.Errorf("labels: %+v, %+v", p.Networks, p.Volumes)
	}
}

// refused are compose.yamls, the kind of what is wrong with each, and its place
// and words.
var refused = []struct{ name, text, kind, want string }{
	{"nothing", "", kindInvalid, "is empty"},
	{"no services", "volumes: {a: {}}\n", kindInvalid, ""},
	{"no YAML", with("    command: [a\n    user: b\n"), kindInvalid, "compose.yaml:"},
	{"a key twice", with("    user: a\n    user: b\n"), kindInvalid, "compose.yaml:5: "},
	{"a key that is not known", with("    imgae: x\n"), kindInvalid, "compose.yaml:4: "},
	{"a wrong type", with("    user: a\n    ports: 7\n"), kindInvalid, "compose.yaml:5: "},
	{"a variable without a value", with("    user: ${NOBODY}\n"), kindInvalid, "${NOBODY} has no value"},
	{"our environment", with("    user: ${PATH}\n"), kindInvalid, "${PATH} has no value"},
	{"a dependency that is not there", with("    depends_on: [other]\n"), kindInvalid, "other"},

	{"privileged", with("    privileged: true\n"), kindRefused, "compose.yaml:4: a stack may not have services.it.privileged"},
	{"privileged by an anchor", "x-a: &a\n  privileged: true\n" + with("    <<: *a\n"), kindRefused, "services.it.privileged"},
	{"the machine's network", with("    network_mode: host\n"), kindRefused, "compose.yaml:4: "},
	{"the machine's processes", with("    pid: host\n"), kindRefused, "services.it.pid"},
	{"capabilities", with("    cap_add: [SYS_ADMIN]\n"), kindRefused, "services.it.cap_add"},
	{"devices", with("    devices: [/dev/sda:/dev/sda]\n"), kindRefused, "services.it.devices"},
	{"devices by deploy", with("    deploy:\n      resources:\n        reservations:\n          devices: [{capabilities: [gpu]}]\n"), kindRefused, "compose.yaml:4: "},
	{"replicas", with("    deploy: {replicas: 3}\n"), kindRefused, "services.it.deploy.replicas"},
	{"a security option", with("    security_opt: [\"seccomp:unconfined\"]\n"), kindRefused, "no-new-privileges"},
	{"a build", with("    build: .\n"), kindRefused, "services.it.build"},
	{"a program of the machine", with("    provider: {type: sh}\n"), kindRefused, "services.it.provider"},
	{"a file of variables", with("    env_file: /etc/passwd\n"), kindRefused, "services.it.env_file"},
	{"another file", "include: [/etc/passwd]\n" + with(""), kindRefused, "a stack may not have include"},
	{"another file's service", with("    extends: {file: /etc/passwd, service: x}\n"), kindRefused, "services.it.extends"},
	{"secrets of the machine", with("") + "secrets: {a: {file: /etc/shadow}}\n", kindRefused, "secrets"},
	{"a name for the container", with("    container_name: mine\n"), kindRefused, "container_name"},
	{"the engine's restarts", with("    restart: always\n"), kindRefused, "compose.yaml:4: "},
	{"our label", with("    labels: {prism.project: other}\n"), kindRefused, "prism.project"},
	{"Compose's label", with("    labels: [com.docker.compose.project=other]\n"), kindRefused, "com.docker.compose.project"},
	{"the engine's socket", with("    use_api_socket: true\n"), kindRefused, "use_api_socket"},
	{"services of no image", "services:\n  it:\n    command: [x]\n", kindInvalid, ""},

	{"a port on every address", with("    ports: [\"6379:6379\"]\n"), kindRefused, "compose.yaml:4: port 6379 of it must be on loopback: write 127.0.0.1:6379:6379"},
	{"a port on another address", with("    ports:\n      - 127.0.0.1:1:1\n      - 10.0.0.1:1:1\n"), kindRefused, "compose.yaml:6: "},
	{"a port of the long form", with("    ports: [{target: 80}]\n"), kindRefused, "must be on loopback"},

	{"the whole machine", with("    volumes: [/:/host]\n"), kindRefused, "compose.yaml:4: the mount /host of it is outside the project: /"},
	{"the engine's socket as a mount", with("    volumes: [/etc/hostname:/x]\n"), kindRefused, "outside the project"},
	{"a way up", with("    volumes: [../../../:/x]\n"), kindRefused, "outside the project"},
	{"a file that is not there", with("    volumes: [./none:/x]\n"), kindRefused, "is not there"},
	{"a volume that is the machine", with("    volumes: [a:/x]\n") + "volumes:\n  a:\n    driver_opts: {type: none, o: bind, device: /}\n", kindRefused, "compose.yaml:7: a stack may not have volumes.a.driver_opts"},
	{"a volume of others", with("    volumes: [a:/x]\n") + "volumes: {a: {external: true}}\n", kindRefused, "volumes.a.external"},
	{"a volume's own name", with("    volumes: [a:/x]\n") + "volumes: {a: {name: other}}\n", kindRefused, "may not choose its name"},
	{"a network of others", with("    networks: [a]\n") + "networks: {a: {external: true}}\n", kindRefused, "networks.a.external"},
	{"a network of the machine", with("    networks: [a]\n") + "networks: {a: {driver: macvlan}}\n", kindRefused, "the driver bridge alone"},
	{"a service that is a path", "services:\n  ..:\n    image: x\n", kindRefused, "is no name"},
	{"a service that is a way up", "services:\n  ../x:\n    image: x\n", kindInvalid, "../x"},
}

func TestWhatAStackMayNotHoldIsNamedWithItsPlace(t *testing.T) {
	t.Parallel()
	for _, c := range refused {
		_, err := load(t.Context(), stack(t, c.text))
		var f *Failure
		if !errors.As(err, &f) || f.Kind != c.kind || !strings.Contains(f.Message, c.want) {
			t.Errorf("%s: got %v (%+v), want %s with %q", c.name, err, f, c.kind, c.want)
		}
	}
}

func TestALinkOutOfTheProjectIsNoWayOut(t *testing.T) {
	t.Parallel()
	r := stack(t, with("    volumes: [./link:/x]\n"))
	if err := os.Symlink("/etc", filepath.Join(r.Dir, "link")); err != nil {
		t.Fatal(err)
	}
	if _, err := load(t.Context(), r); err == nil || !strings.Contains(err.Error(), "outside the project") {
		t.Errorf("a mount by a link: %v", err)
	}
	r = stack(t, "")
	file := filepath.Join(r.Dir, composeName)
	if err := errors.Join(os.Remove(file), os.Symlink("/etc/passwd", file)); err != nil {
		t.Fatal(err)
	}
	if _, err := load(t.Context(), r); err == nil || strings.Contains(err.Error(), "root:") {
		t.Errorf("compose.yaml by a link: %v", err)
	}
}

func TestAProjectMayOpenItsPorts(t *testing.T) {
	t.Parallel()
	r := stack(t, with("    ports: [\"6379:6379\"]\n"))
	r.Open = true
	if _, err := load(t.Context(), r); err != nil {
		t.Error(err)
	}
}

func TestBombsAreRefused(t *testing.T) {
	t.Parallel()
	bomb := "x-a: &a [x, x, x, x, x, x, x, x, x, x]\n"
	for c := 'b'; c < 'l'; c++ {
		bomb += "x-" + string(c) + ": &" + string(c) + " [" + strings.Repeat("*"+string(c-1)+", ", 9) + "*" + string(c-1) + "]\n"
	}
	for name, text := range map[string]string{
		"aliases":  bomb + with("    command: *k\n"),
		"a loop":   "x-a: &a {b: *a}\n" + with(""),
		"a merge":  "x-a: &a {<<: *a}\n" + with("    <<: *a\n"),
		"its size": with("") + "#" + strings.Repeat("x", maxCompose),
		"depth":    with("    command: " + strings.Repeat("[", 100000) + "\n"),
	} {
		var f *Failure
		if _, err := load(t.Context(), stack(t, text)); !errors.As(err, &f) || f.Kind != kindInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestNamesThatAreMoreAreRefused(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"", "../x", "a/b", "A", "-a", "a b", "é", "a\n", strings.Repeat("a", 64)} {
		r := stack(t, with(""))
		r.Stack = name
		var f *Failure
		if _, err := load(t.Context(), r); !errors.As(err, &f) || f.Kind != kindRefused {
			t.Errorf("the stack %q: %v", name, err)
		}
	}
}

func FuzzLoad(f *testing.F) {
	for _, c := range refused {
		f.Add(c.text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := load(t.Context(), stack(t, text))
		if err != nil {
			return
		}
		for name, s := range p.Services {
			if s.Privileged || s.NetworkMode != "" && s.NetworkMode != "default" || len(s.CapAdd)+len(s.Devices) > 0 {
				t.Errorf("%s came through: %+v", name, s)
			}
		}
	})
}
