package stacks

import (
	"context"
	"encoding/json"
	"io/fs"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/stacks/catalog"
	"github.com/prism-data-layer/prism/stacks/engine"
)

// facts is an engine that only knows what a plan asks: no container runs here.
type facts struct {
	engine.Engine
	info    engine.Info
	err     error
	things  []engine.Thing
	present []string // images
}

func (f *facts) Program() string                           { return "/usr/bin/prism-compose" }
func (f *facts) Info(context.Context) (engine.Info, error) { return f.info, f.err }

func (f *facts) List(_ context.Context, project string) ([]engine.Thing, error) {
	var list []engine.Thing
	for _, t := range f.things {
		if t.Project == project {
			list = append(list, t)
		}
	}
	return list, nil
}

func (f *facts) Image(_ context.Context, ref string) (engine.Image, error) {
	return engine.Image{Ref: ref, Present: slices.Contains(f.present, ref)}, nil
}

func (f *facts) on(p *Project) {
	p.Engine = func(context.Context) (engine.Engine, error) { return f, nil }
}

// running is an engine that answers.
func running() *facts {
	return &facts{info: engine.Info{Endpoint: "unix:///run/docker.sock", Memory: 16 << 30}}
}

// missing is an engine that does not.
func missing() *facts {
	return &facts{err: prism.New(prism.ReasonFailedPrecond, "no container engine answers").WithMeta("kind", "engine_stopped").WithMeta("fix", "start docker")}
}

// withPrograms puts programs of these names into the folder of native ones.
func withPrograms(t *testing.T, p Project, names ...string) {
	t.Helper()
	if err := os.MkdirAll(p.Native, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, n := range names {
		if err := os.WriteFile(filepath.Join(p.Native, n), []byte("#!/bin/sh\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

func mustPlan(t *testing.T, p Project, names ...string) *Plan {
	t.Helper()
	pl, err := p.Plan(t.Context(), names)
	if err != nil {
		t.Fatal(err)
	}
	return pl
}

func forms(pl *Plan) string {
	var list []string
	for _, i := range pl.Instances {
		list = append(list, i.Stack.Name+"="+string(i.Form))
	}
	for _, s := range pl.Skipped {
		list = append(list, s.Name+"=skipped")
	}
	return strings.Join(list, " ")
}

func TestTheFormIsContainersWhereAnEngineAnswersElseNative(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		engine *facts
		form   Form
		own    map[string]Form
		want   string
	}{
		{running(), FormAuto, nil, "dex=container signoz=container"},
		{running(), FormNative, nil, "dex=native signoz=skipped"},
		{running(), FormAuto, map[string]Form{"dex": FormNative}, "dex=native signoz=container"},
		{missing(), FormAuto, nil, "dex=native signoz=skipped"},
		{missing(), FormContainer, nil, "dex=skipped signoz=skipped"},
		{missing(), FormContainer, map[string]Form{"dex": FormAuto}, "dex=native signoz=skipped"},
		{nil, FormAuto, nil, "dex=native signoz=skipped"},
	} {
		p := testProject(t)
		withPrograms(t, p, "dex")
		if c.engine != nil {
			c.engine.on(&p)
		}
		p.Form, p.Forms = c.form, c.own
		if got := forms(mustPlan(t, p, "dex", "signoz")); got != c.want {
			t.Errorf("engine %v, form %s %v: got %s, want %s", c.engine, c.form, c.own, got, c.want)
		}
		if _, err := os.Stat(p.State); err == nil {
			t.Error("a plan has written something")
		}
	}
}

func TestWhatIsSkippedSaysWhyAndWhatToType(t *testing.T) {
	t.Parallel()
	p := testProject(t)
	missing().on(&p)
	pl := mustPlan(t, p, "signoz", "clickhouse")
	want := []Skipped{
		{"signoz", "it runs in containers only: no container engine answers", "start docker"},
		{"clickhouse", "prism-chdb is neither on PATH nor in " + p.Native + "; and in containers: no container engine answers", "run tools/chdb.sh of the source (Linux on x86-64), or name it with PRISM_NATIVE_CHDB"},
	}
	if !slices.Equal(pl.Skipped, want) || len(pl.Instances) != 0 {
		t.Errorf("got %q\nwant %q", pl.Skipped, want)
	}
	p.Lookup = func(name string) (string, bool) { return "/nowhere/chdb", name == "PRISM_NATIVE_CHDB" }
	_, err := p.Plan(t.Context(), []string{"clickhouse"})
	if e := prism.From(err); e.Meta["kind"] != "usage" || e.Message != "PRISM_NATIVE_CHDB names /nowhere/chdb, which is not a program" {
		t.Errorf("a variable that names nothing: %v", err)
	}
}

func TestPortsAreAPersonsElseTheSystemsElseTheUsual(t *testing.T) {
	t.Parallel()
	p := testProject(t)
	running().on(&p)
	i := mustPlan(t, p, "dex").Instance("dex")
	if want := map[string]int{"http": 5556, "grpc": 5557, "telemetry": 5558}; !maps.Equal(i.Ports, want) || i.Origins["http"] != "the default of dex" {
		t.Errorf("usual: %v %v", i.Ports, i.Origins)
	}
	p.Offset = 20
	p.Ports = map[string]int{"dex": 7000, "dex.telemetry": 7002}
	i = mustPlan(t, p, "dex").Instance("dex")
	if want := map[string]int{"http": 7000, "grpc": 5577, "telemetry": 7002}; !maps.Equal(i.Ports, want) || i.Origins["grpc"] != "--port-offset 20" || i.Origins["http"] != "chosen for dex" {
		t.Errorf("chosen: %v %v", i.Ports, i.Origins)
	}
	if got := i.Compose().Env["PRISM_PORT_TELEMETRY"]; got != "7002" {
		t.Errorf("compose.yaml hears of the port %s", got)
	}
	if l := i.Links()[0]; l.URL != "http://127.0.0.1:7000/dex" {
		t.Errorf("the link is %+v", l)
	}
}

func TestAutoPortsKeepsWhatItChoseAsLongAsItIsFree(t *testing.T) {
	t.Parallel()
	p := testProject(t)
	p.Auto = true
	eng := running()
	eng.on(&p)
	first := mustPlan(t, p, "dex")
	if err := first.Prepare(); err != nil {
		t.Fatal(err)
	}
	ports := first.Instance("dex").Ports
	if again := mustPlan(t, p, "dex").Instance("dex").Ports; !maps.Equal(again, ports) {
		t.Errorf("the second time: %v, not %v", again, ports)
	}
	l, err := net.Listen("tcp", loopback(ports["grpc"]))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	again := mustPlan(t, p, "dex").Instance("dex")
	if again.Ports["grpc"] == ports["grpc"] || again.Ports["http"] != ports["http"] {
		t.Errorf("with one taken by a stranger: %v, before %v", again.Ports, ports)
	}
	// One that a container of ours holds is ours.
	eng.things = []engine.Thing{{Kind: "container", Project: p.ID, Stack: "dex", State: "running"}}
	again = mustPlan(t, p, "dex").Instance("dex")
	if !maps.Equal(again.Ports, ports) || again.Spec().Listen != nil {
		t.Errorf("with one taken by ourselves: %v, before %v; the supervisor is to find free %v", again.Ports, ports, again.Spec().Listen)
	}
}

func TestWrongChoicesAreNamed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		change func(*Project)
		names  []string
		want   string
	}{
		{func(p *Project) {}, []string{"oracle"}, `there is no stack "oracle"`},
		{func(p *Project) {}, []string{"../redis"}, `there is no stack "../redis"`},
		{func(p *Project) { p.Form = "podman" }, nil, `there is no form "podman"`},
		{func(p *Project) { p.Forms = map[string]Form{"redis": "x"} }, nil, `there is no form "x"`},
		{func(p *Project) { p.Forms = map[string]Form{"radis": FormNative} }, nil, `there is no stack "radis"`},
		{func(p *Project) { p.Ports = map[string]int{"dex.htp": 1} }, nil, `there is no port of dex "htp"`},
		{func(p *Project) { p.Ports = map[string]int{"dex": 0} }, nil, "0 is not a port for dex"},
		{func(p *Project) { p.Ports = map[string]int{"dexx": 5} }, nil, `there is no stack "dexx"`},
		{func(p *Project) { p.Images = map[string]string{"signoz.ui": "x"} }, nil, `there is no image of signoz "ui"`},
		{func(p *Project) { p.Images = map[string]string{"redis": ""} }, nil, "no image is named for redis"},
		{func(p *Project) { p.Offset = 62000 }, []string{"dex"}, "--port-offset 62000 moves dex out of the range of ports"},
		{func(p *Project) { p.Ports = map[string]int{"nats": 5557} }, []string{"dex", "nats"}, "dex.grpc and nats.client both listen on port 5557"},
	} {
		p := testProject(t)
		running().on(&p)
		c.change(&p)
		_, err := p.Plan(t.Context(), c.names)
		if e := prism.From(err); e == nil || e.Message != c.want || e.Meta["kind"] != "usage" || e.Meta["fix"] == "" {
			t.Errorf("got %v (%v)\nwant %s", err, e, c.want)
		}
	}
}

func TestAStackDoesAnothersWork(t *testing.T) {
	t.Parallel()
	p := testProject(t)
	withPrograms(t, p, "otelcol")
	running().on(&p)
	for _, names := range [][]string{{"otel-collector", "signoz"}, {"signoz", "otel-collector"}} {
		pl := mustPlan(t, p, names...)
		if forms(pl) != "signoz=container" || !slices.Contains(pl.Warnings, "otel-collector is left out: signoz does its work") {
			t.Errorf("%v: %s, %q", names, forms(pl), pl.Warnings)
		}
	}
	missing().on(&p)
	if got := forms(mustPlan(t, p, "signoz", "otel-collector")); got != "otel-collector=native signoz=skipped" {
		t.Errorf("without an engine: %s", got)
	}
}

// chain is a catalogue of redis and three that need one another.
func chain(t *testing.T) fstest.MapFS {
	t.Helper()
	out := fstest.MapFS{}
	for name, after := range map[string]string{"a": "[b, redis]", "b": "[c]", "c": "[]", "x": "[y]", "y": "[x]"} {
		out[name+"/stack.yaml"] = &fstest.MapFile{Data: []byte("apiVersion: prism/v1\nname: " + name + "\nabout: x\nafter: " + after +
			"\nprobe: {kind: http, addr: 'http://127.0.0.1'}\nnative: {programs: [" + name + "], variable: V_" + name + ", hint: make it}\n")}
	}
	for _, file := range []string{"redis/stack.yaml", "redis/compose.yaml", "redis/redis.conf"} {
		text, err := fs.ReadFile(catalog.Folders(), file)
		if err != nil {
			t.Fatal(err)
		}
		out[file] = &fstest.MapFile{Data: text}
	}
	return out
}

func TestWhatAStackNeedsComesBeforeIt(t *testing.T) {
	t.Parallel()
	p := testProject(t)
	p.folders = chain(t)
	withPrograms(t, p, "a", "b", "c", "redis-server")
	pl := mustPlan(t, p, "redis", "a", "a")
	if got := forms(pl); got != "redis=native c=native b=native a=native" {
		t.Errorf("got %s", got)
	}
	if got := pl.Instance("a").Spec().After; !slices.Equal(got, []string{"b", "redis"}) {
		t.Errorf("a starts after %v", got)
	}
	if err := os.Remove(filepath.Join(p.Native, "c")); err != nil {
		t.Fatal(err)
	}
	pl = mustPlan(t, p, "a")
	if got := forms(pl); got != "redis=native c=skipped b=skipped a=skipped" || pl.Skipped[1].Why != "it needs c, which does not run" {
		t.Errorf("without c: %s, %q", got, pl.Skipped)
	}
	if _, err := p.Plan(t.Context(), []string{"x"}); err == nil || !strings.Contains(err.Error(), "waits for itself") {
		t.Errorf("a circle: %v", err)
	}
}

func TestWhoNeedsACoveredStackWaitsForWhatCoversIt(t *testing.T) {
	t.Parallel()
	p := testProject(t)
	p.folders = chain(t)
	stack := p.folders.(fstest.MapFS)["redis/stack.yaml"]
	stack.Data = append(stack.Data, "covers: [c]\n"...)
	withPrograms(t, p, "b", "c", "redis-server")
	pl := mustPlan(t, p, "redis", "b")
	if got := forms(pl); got != "redis=native b=native" || !slices.Equal(pl.Instance("b").Spec().After, []string{"redis"}) {
		t.Errorf("got %s, and b starts after %v", got, pl.Instance("b").Spec().After)
	}
}

func TestAPlanSaysWhatItWillPullAndWhatItTakes(t *testing.T) {
	t.Parallel()
	p := testProject(t)
	eng := running()
	eng.info.Memory = 2 << 30
	eng.present = []string{"redis:mine"}
	eng.on(&p)
	p.Images = map[string]string{"redis": "redis:mine", "signoz.keeper": "keeper:mine"}
	pl := mustPlan(t, p, "redis", "signoz")
	redis, signoz := pl.Instance("redis"), pl.Instance("signoz")
	if len(redis.Pulls) != 0 || redis.Images["redis"] != "redis:mine" || !slices.Contains(signoz.Pulls, "keeper:mine") || len(signoz.Pulls) != 4 {
		t.Errorf("redis has %v and pulls %v; signoz pulls %v", redis.Images, redis.Pulls, signoz.Pulls)
	}
	if want := "the containers may take 2752MiB together, and the engine has 2GiB"; !slices.Contains(pl.Warnings, want) {
		t.Errorf("the warnings are %q", pl.Warnings)
	}
	if redis.Spec().Ready.Timeout != redis.Stack.Probe.Timeout || signoz.Spec().Ready.Timeout <= pullTime {
		t.Errorf("redis may take %s to start, signoz %s", redis.Spec().Ready.Timeout, signoz.Spec().Ready.Timeout)
	}
}

func TestSpecs(t *testing.T) {
	t.Parallel()
	p := testProject(t)
	withPrograms(t, p, "redis-server", "nats-server")
	pl := mustPlan(t, p, "redis", "nats")
	redis, nats := pl.Instance("redis").Spec(), pl.Instance("nats").Spec()
	socket := filepath.Join(p.Root, "shop.redis")
	if redis.Ready.Name != "PING on "+socket || redis.Listen != nil || redis.Notes || !slices.Contains(redis.Args, socket) || redis.Dir != p.Root {
		t.Errorf("redis: %+v", redis)
	}
	if len(nats.Listen) != 1 || nats.Listen[0].Addr != "127.0.0.1:4222" || !nats.Listen[0].Own || nats.Ready.Name != "PING on 127.0.0.1:4222" {
		t.Errorf("nats: %+v", nats)
	}
	name, driver, options, ok := pl.Instance("nats").Backend()
	if want := `{servers: ["nats://127.0.0.1:4222"], username: prism, password_file: ` + strconv.Quote(filepath.Join(p.State, "stacks", "nats", "password.secret")) + "}"; !ok || name != "nats" || driver != "nats" || options != want {
		t.Errorf("the backend of nats is %s %s %s, want %s", name, driver, options, want)
	}
	running().on(&p)
	i := mustPlan(t, p, "redis").Instance("redis")
	s := i.Spec()
	if want := engine.RunArgs(filepath.Join(p.State, "stacks", "redis", "run.json")); s.Path != "/usr/bin/prism-compose" || !slices.Equal(s.Args, want) || !s.Notes || s.Stop != runnerStop || s.Listen[0].Addr != "127.0.0.1:6379" {
		t.Errorf("redis in a container: %+v", s)
	}
	if _, _, options, _ := i.Backend(); !strings.Contains(options, `["127.0.0.1:6379"], password_file: `) {
		t.Errorf("its backend is %s", options)
	}
}

func TestPrepareWritesSecretsOnceAndForTheOwnerAlone(t *testing.T) {
	t.Parallel()
	p := testProject(t)
	withPrograms(t, p, "nats-server", "dex", "redis-server")
	running().on(&p)
	p.Forms = map[string]Form{"nats": FormNative, "redis": FormNative}
	for range 2 {
		if err := mustPlan(t, p, "nats", "dex", "redis").Prepare(); err != nil {
			t.Fatal(err)
		}
	}
	read := func(name string) string {
		t.Helper()
		text, err := os.ReadFile(filepath.Join(p.State, "stacks", name))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	mode := func(name string) fs.FileMode {
		t.Helper()
		info, err := os.Stat(filepath.Join(p.State, "stacks", name))
		if err != nil {
			t.Fatal(err)
		}
		return info.Mode().Perm()
	}
	password, dex := strings.TrimSpace(read("nats/password.secret")), read("dex/config.yaml")
	if conf := read("nats/nats.conf"); !strings.Contains(conf, strconv.Quote(password)) || len(password) < 26 {
		t.Errorf("the password %q is not in\n%s", password, conf)
	}
	for name, want := range map[string]fs.FileMode{
		"nats": 0o700, "nats/password.secret": 0o600, "nats/nats.conf": 0o600,
		"dex": 0o700, "dex/dev.secret": 0o600, "dex/dev.bcrypt": 0o600, "dex/config.yaml": 0o644, "dex/compose.yaml": 0o600,
	} {
		if got := mode(name); got != want {
			t.Errorf("%s has the mode %o, want %o", name, got, want)
		}
	}
	if _, err := os.Stat(filepath.Join(p.State, "stacks", "redis", "password.secret")); err == nil {
		t.Error("redis has a password that nobody uses on its socket")
	}
	if err := mustPlan(t, p, "nats", "dex").Prepare(); err != nil {
		t.Fatal(err)
	}
	if got := strings.TrimSpace(read("nats/password.secret")); got != password || read("dex/config.yaml") != dex {
		t.Error("secrets have changed")
	}
	// A secret that was removed is made anew, and its hash with it.
	if err := os.Remove(filepath.Join(p.State, "stacks", "dex", "dev.secret")); err != nil {
		t.Fatal(err)
	}
	if err := mustPlan(t, p, "dex").Prepare(); err != nil || read("dex/config.yaml") == dex {
		t.Errorf("a new password of dev is not in Dex's file: %v", err)
	}
}

func TestRecordsTellWhatRunsAndHoldNoSecret(t *testing.T) {
	t.Parallel()
	p := testProject(t)
	withPrograms(t, p, "nats-server")
	running().on(&p)
	p.Forms = map[string]Form{"nats": FormNative}
	if list, err := Running(p.State); err != nil || len(list) != 0 {
		t.Errorf("before the first: %v, %v", list, err)
	}
	if err := mustPlan(t, p, "nats", "dex").Prepare(); err != nil {
		t.Fatal(err)
	}
	list, err := Running(p.State)
	if err != nil || len(list) != 2 {
		t.Fatalf("got %v, %v", list, err)
	}
	nats, dex := list[0], list[1]
	if nats.Name != "nats" || nats.Form != FormNative || nats.Backend != "nats" || nats.Ports["client"] != 4222 || nats.Engine != "" || nats.Probe.Kind != "nats" || nats.Env["NATS_URL"] != "nats://127.0.0.1:4222" {
		t.Errorf("nats: %+v", nats)
	}
	if dex.Form != FormContainer || dex.Engine != "unix:///run/docker.sock" || dex.Images["dex"] == "" || dex.Backend != "" || dex.Env["PRISM_OIDC_ISSUER"] != "http://127.0.0.1:5556/dex" || len(dex.Links) != 1 {
		t.Errorf("dex: %+v", dex)
	}
	text, err := os.ReadFile(fileIn(p.State))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"nats/password", "dex/dev", "dex/proxy"} {
		secret, err := os.ReadFile(filepath.Join(p.State, "stacks", name+".secret"))
		if err != nil || strings.Contains(string(text), strings.TrimSpace(string(secret))) {
			t.Errorf("stacks.json holds the secret %s (%v)", name, err)
		}
	}
	// The engine is remembered when nothing runs in it any more.
	if err := mustPlan(t, p, "nats").Prepare(); err != nil {
		t.Fatal(err)
	}
	if endpoint, err := Engine(p.State); err != nil || endpoint != "unix:///run/docker.sock" {
		t.Errorf("the engine is %q, %v", endpoint, err)
	}
	if err := os.WriteFile(fileIn(p.State), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Running(p.State); prism.From(err).Meta["fix"] == "" {
		t.Errorf("a damaged file: %v", err)
	}
}

func TestAnExportNeedsNothingOfOurs(t *testing.T) {
	t.Parallel()
	p := testProject(t)
	list, err := p.Containers([]string{"dex", "otel-collector"})
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "out")
	for _, i := range list {
		if err := i.Export(dir); err != nil {
			t.Fatal(err)
		}
	}
	env, err := os.ReadFile(filepath.Join(dir, "otel-collector", ".env"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"COMPOSE_PROJECT_NAME='prism-shop-1a2b3c-otel-collector'\n", "PRISM_DATA='./data'\n", "PRISM_FILE_CONFIG_YAML='./config.yaml'\n", "PRISM_PORT_GRPC='4317'\n"} {
		if !strings.Contains(string(env), want) {
			t.Errorf("%q is not in\n%s", want, env)
		}
	}
	if strings.Contains(string(env), p.Root) {
		t.Errorf("it names the project's folder:\n%s", env)
	}
	for _, file := range []string{"dex/compose.yaml", "dex/config.yaml", "otel-collector/config.yaml", "otel-collector/data"} {
		if _, err := os.Stat(filepath.Join(dir, file)); err != nil {
			t.Error(err)
		}
	}
}

func TestQuestionsTravelInRecords(t *testing.T) {
	t.Parallel()
	for _, i := range everyInstance(t, testProject(t)) {
		text, err := json.Marshal(i.record())
		if err != nil {
			t.Fatal(err)
		}
		var back Record
		if err := json.Unmarshal(text, &back); err != nil || back.Probe.String() != i.Probe().String() || !maps.Equal(back.Probe.Options, i.Probe().Options) {
			t.Errorf("%s: %+v became %+v, %v", i.Stack.Name, i.Probe(), back.Probe, err)
		}
	}
}
