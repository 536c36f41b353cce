package drivertest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/driver/drivertest"
	"github.com/prism-data-layer/prism/pkg/driver/memory"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// restarting is memory with a restart: with data that outlive it, because
// nothing happens, or without.
func restarting(name string, keeps bool) drivertest.Harness {
	h := drivertest.Driver(memory.Spec())
	open := h.Open
	h.Name = name
	h.Open = func(t drivertest.TB, o drivertest.Options) drivertest.Opened {
		opened := open(t, o)
		opened.Reopen = func() driver.Set {
			if !keeps {
				opened = open(t, o)
			}
			return opened.Set
		}
		return opened
	}
	return h
}

func failed(outcomes []drivertest.Outcome) []string {
	var names []string
	for _, o := range outcomes {
		if o.State == drivertest.Failed {
			names = append(names, o.Promise)
		}
	}
	return names
}

func TestMemoryKeepsEveryPromise(t *testing.T) {
	t.Parallel()
	for _, o := range drivertest.Check(t.Context(), restarting("memory", true)) {
		if o.State != drivertest.Passed {
			t.Errorf("%s/%s: %s %s", o.Capability, o.Promise, o.State, o.Message)
		}
	}
}

// staysAway are the promises of restarts that a store keeps which forgets all:
// what is gone must not come back.
var staysAway = []string{
	"a dropped namespace stays empty after a restart",
	"a dropped cache stays empty after a restart",
	"a dropped log stays empty after a restart",
	"a dropped series stays empty after a restart",
}

// aboutRestarts tells by its name whether a promise is about one.
func aboutRestarts(name string) bool {
	return strings.Contains(name, "restart") || strings.Contains(name, "while the store is closed")
}

func TestAStoreThatForgetsIsFoundByTheRestarts(t *testing.T) {
	t.Parallel()
	h := restarting("forgets", false)
	h.Patience = 3 * time.Second
	for _, o := range drivertest.Check(t.Context(), h) {
		want := drivertest.Passed
		if aboutRestarts(o.Promise) && !slices.Contains(staysAway, o.Promise) {
			want = drivertest.Failed
		}
		if o.State != want {
			t.Errorf("%q has %s, want %s: %s", o.Promise, o.State, want, o.Message)
		}
	}
}

// A lost is a map of namespaces whose drops are forgotten at a restart.
type lost struct {
	mu    sync.Mutex
	drops map[prism.Namespace]int
}

func (l *lost) at(ns prism.Namespace) prism.Namespace {
	l.mu.Lock()
	defer l.mu.Unlock()
	return prism.Namespace(fmt.Sprint(ns, "/", l.drops[ns]))
}

type dropsForNow struct {
	driver.Store
	lost *lost
}

func (d dropsForNow) Drop(_ context.Context, ns prism.Namespace) error {
	d.lost.mu.Lock()
	defer d.lost.mu.Unlock()
	d.lost.drops[ns]++
	return nil
}

func TestADropThatComesUndoneIsFoundByTheRestarts(t *testing.T) {
	t.Parallel()
	h := restarting("undoes", true)
	open := h.Open
	h.Open = func(t drivertest.TB, o drivertest.Options) drivertest.Opened {
		l := &lost{drops: map[prism.Namespace]int{}}
		opened := open(t, o)
		opened.Set.Store = dropsForNow{opened.Set.Store, l}
		opened.Set.Cache = cachesAt{opened.Set.Cache, l.at}
		opened.Set.Queue = queuesAt{opened.Set.Queue, l.at}
		opened.Set.PubSubPersistent = logsAt{opened.Set.PubSubPersistent, l.at}
		opened.Set.TimeSeries = seriesAt{opened.Set.TimeSeries, l.at}
		set := opened.Set
		opened.Reopen = func() driver.Set {
			clear(l.drops)
			return set
		}
		return opened
	}
	asked := append([]string{"acknowledged messages and dropped queues stay away after a restart"}, staysAway[1:]...)
	for _, o := range drivertest.Check(t.Context(), h, asked...) {
		if o.State != drivertest.Failed {
			t.Errorf("%q has %s", o.Promise, o.State)
		}
	}
}

// A clock of its own, names of the wire: what a store in another process is.
func TestARealClockAndLegalNamesWork(t *testing.T) {
	t.Parallel()
	h := drivertest.Driver(memory.Spec())
	legal := regexp.MustCompile(`^[a-z][a-z0-9-]{0,62}$`)
	h.Name, h.Wire = "real", true
	h.Open = func(t drivertest.TB, o drivertest.Options) drivertest.Opened {
		set, err := memory.Spec().Open(context.Background(), driver.Config{Name: "real"})
		if err != nil {
			t.Fatalf("open: %v", err)
		}
		t.Cleanup(func() { _ = set.Store.Close() })
		set.KeyValue = checksNames{set.KeyValue, legal}
		return drivertest.Opened{Set: set}
	}
	h.Bounds = false
	drivertest.Run(t, h)
}

type checksNames struct {
	driver.KeyValue
	legal *regexp.Regexp
}

func (c checksNames) Set(ctx context.Context, k prism.Key, v []byte, o driver.SetOptions, r driver.Receipt) (driver.Result, error) {
	if !c.legal.MatchString(string(k.Namespace)) || prism.CheckKey("key", k.Name) != nil {
		return driver.Result{}, prism.InvalidField("key", "is not one of the wire")
	}
	return c.KeyValue.Set(ctx, k, v, o, r)
}

func TestAMissingCapabilityIsNotApplicable(t *testing.T) {
	h := drivertest.Driver(memory.Spec()).Wrapped("narrow", func(s driver.Set) driver.Set {
		return s.Without("keyvalue_ttl", "keyvalue_scan", "keyvalue_ordered_scan")
	})
	for _, o := range drivertest.Check(t.Context(), h, "keyvalue_ttl", "keyvalue_scan", "an expiry is told before what comes after it on its key", "keyvalue_cas") {
		if want := map[bool]drivertest.State{true: drivertest.Passed, false: drivertest.NotApplicable}[o.Capability == "keyvalue_cas"]; o.State != want {
			t.Errorf("%s/%s is %s, want %s (%s)", o.Capability, o.Promise, o.State, want, o.Message)
		}
	}
}

func TestAStoreThatIsNotThereIsNotRun(t *testing.T) {
	h := drivertest.Harness{Name: "away", Open: func(t drivertest.TB, _ drivertest.Options) drivertest.Opened {
		t.Fatalf("no server at %s", "nowhere")
		return drivertest.Opened{}
	}}
	outcomes := drivertest.Check(t.Context(), h)
	for _, o := range outcomes {
		if o.State != drivertest.NotRun || !strings.Contains(o.Message, "nowhere") {
			t.Fatalf("got %+v, want not run, and why", o)
		}
	}
	m := drivertest.NewMatrix(outcomes)
	if m.OK() || m.Promises.Kept != 0 || m.Pairs.Kept != 0 || !strings.Contains(m.Markdown(), "not run") {
		t.Errorf("what did not run counts as kept: %s", m.Markdown())
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if o := drivertest.Check(ended, drivertest.Driver(memory.Spec()), "keyvalue_cas")[0]; o.State != drivertest.NotRun {
		t.Errorf("got %s after the context ended, want not run", o.State)
	}
}

func TestCleanupsRunWhenAPromiseFails(t *testing.T) {
	opened, closed := 0, 0
	h := drivertest.Driver(memory.Spec())
	open := h.Open
	h.Open = func(t drivertest.TB, o drivertest.Options) drivertest.Opened {
		opened++
		t.Cleanup(func() { closed++ })
		s := open(t, o)
		s.Set.KeyValue = panics{s.Set.KeyValue}
		return s
	}
	if len(failed(drivertest.Check(t.Context(), h, "an empty value is not a missing key"))) != 1 {
		t.Errorf("the panic was not found")
	}
	if opened != closed || opened < 2 {
		t.Errorf("%d stores opened, %d closed", opened, closed)
	}
}

// outcomes is a small run with every state in it.
func outcomes(t *testing.T) []drivertest.Outcome {
	t.Helper()
	h := drivertest.Driver(memory.Spec())
	all := drivertest.Check(t.Context(), h, "keyvalue_cas", "keyvalue_scan")
	return append(all, drivertest.Check(t.Context(), h.Wrapped("broken", func(s driver.Set) driver.Set {
		s.KeyValueCAS = swapsAll{s.KeyValueCAS, s.KeyValue}
		return s.Without("keyvalue_scan", "keyvalue_ordered_scan")
	}), "keyvalue_cas", "keyvalue_scan")...)
}

func TestMatrixCounts(t *testing.T) {
	all := outcomes(t)
	m := drivertest.NewMatrix(all)
	if !slices.Equal(m.Backends, []string{"broken", "memory"}) {
		t.Errorf("backends are %v", m.Backends)
	}
	cells := map[string]string{}
	for _, r := range m.Rows {
		for b, c := range r.Cells {
			cells[b+" "+r.Capability] = c.String()
		}
	}
	for name, want := range map[string]string{
		"memory keyvalue_cas": "9/9", "broken keyvalue_cas": "**7/9**", "broken keyvalue_scan": "n/a", "memory keyvalue_ttl": "not run",
	} {
		if cells[name] != want && !(name == "broken keyvalue_cas" && cells[name] == "**6/9**") {
			t.Errorf("%s is %s, want %s", name, cells[name], want)
		}
	}
	// All but two capabilities of memory were not run, and all but one of broken,
	// but they count against it. What is n/a does not.
	n := len(m.Rows) - 1 // the store is a row, and no capability
	if m.Pairs.Total != 2*n-1 || m.Pairs.Kept != 2 || m.Distinct.Kept != 2 || m.Distinct.Total != n {
		t.Errorf("pairs %v, distinct %v of %d capabilities", m.Pairs, m.Distinct, n)
	}
	if m.OK() {
		t.Errorf("a matrix with failures is OK")
	}
	text := m.Markdown()
	for _, want := range []string{"| capability | broken | memory |", "compare-and-swap, compare-and-delete | **", "- **broken**, `keyvalue_cas`: CompareAndSwap leaves any other value alone"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if regexp.MustCompile(`20\d\d|\d(ms|s)\b`).MatchString(text) {
		t.Errorf("the matrix holds a time:\n%s", text)
	}
	again := slices.Clone(all)
	slices.Reverse(again)
	one, err := m.JSON()
	if err != nil {
		t.Fatal(err)
	}
	two, err := drivertest.NewMatrix(again).JSON()
	if err != nil || !bytes.Equal(one, two) {
		t.Errorf("the order of outcomes changes the matrix: %v", err)
	}
	var back drivertest.Matrix
	if err := json.Unmarshal(one, &back); err != nil || back.Promises != m.Promises {
		t.Errorf("read back %+v %v", back.Promises, err)
	}
}

func TestAPromiseToldOfTwiceIsKeptOnlyTwice(t *testing.T) {
	all := drivertest.Check(t.Context(), drivertest.Driver(memory.Spec()), "keyvalue_cas")
	bad := all[0]
	bad.State = drivertest.Failed
	for _, order := range [][]drivertest.Outcome{append(slices.Clone(all), bad), append([]drivertest.Outcome{bad}, all...)} {
		if c := drivertest.NewMatrix(order).Promises; c.Kept != len(all)-1 {
			t.Errorf("%v kept, want %d", c, len(all)-1)
		}
	}
}

func TestRunWritesItsOutcomes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "outcomes.jsonl")
	t.Setenv(drivertest.MatrixOut, path)
	t.Run("inner", func(t *testing.T) {
		h := drivertest.Driver(memory.Spec()).Wrapped("inner", func(s driver.Set) driver.Set { return only(s, "keyvalue_basic", "keyvalue_cas") })
		h.Serial = true
		drivertest.Run(t, h)
	})
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	all, err := drivertest.ReadOutcomes(f)
	if err != nil {
		t.Fatal(err)
	}
	passed := map[string]int{}
	for _, o := range all {
		if o.State == drivertest.Failed {
			t.Errorf("%+v", o)
		}
		if o.State == drivertest.Passed {
			passed[o.Capability]++
		}
	}
	if passed["keyvalue_cas"] != 9 || passed["keyvalue_ttl"] != 0 {
		t.Errorf("passed %v, want the 9 of keyvalue_cas and none of keyvalue_ttl", passed)
	}
	if _, err := drivertest.ReadOutcomes(strings.NewReader("{}\n\nnot json\n")); err == nil || !strings.Contains(err.Error(), "line 3") {
		t.Errorf("a bad line is told as %v", err)
	}
}

// The report and go test count the same: what Run tells is what go test sees.
func TestReportCountsEqualGoTest(t *testing.T) {
	if os.Getenv("DRIVERTEST_INNER") != "" {
		h := drivertest.Driver(memory.Spec()).Wrapped("defect", func(s driver.Set) driver.Set {
			s.KeyValueAtomic = wrapsAround{s.KeyValueAtomic}
			s.KeyValue = panics{s.KeyValue}
			return only(s, "keyvalue_basic", "keyvalue_atomic", "keyvalue_scan")
		})
		drivertest.Run(t, h)
		return
	}
	t.Parallel()
	path := filepath.Join(t.TempDir(), "outcomes.jsonl")
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestReportCountsEqualGoTest$", "-test.v")
	cmd.Env = append(os.Environ(), "DRIVERTEST_INNER=1", drivertest.MatrixOut+"="+path)
	out, err := cmd.CombinedOutput()
	if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) {
		t.Fatalf("the inner run must fail as a test does: %v\n%s", err, out)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	defer func() { _ = f.Close() }()
	all, err := drivertest.ReadOutcomes(f)
	if err != nil {
		t.Fatal(err)
	}
	told := map[drivertest.State]int{}
	for _, o := range all {
		told[o.State]++
	}
	// Promises stand two levels down: eight spaces.
	seen := func(word string) int {
		return len(regexp.MustCompile(`(?m)^        --- `+word+`: `).FindAll(out, -1))
	}
	if told[drivertest.Passed] != seen("PASS") || told[drivertest.Failed] != seen("FAIL") || told[drivertest.Failed] == 0 || seen("SKIP") != 0 {
		t.Errorf("told %v, go test saw %d passed, %d failed, %d skipped", told, seen("PASS"), seen("FAIL"), seen("SKIP"))
	}
}

// modelFinds runs a model in a process of its own, where it must fail: rapid
// tells its failures to nobody else.
func modelFinds(t *testing.T, defect string, model func(t *testing.T, broken drivertest.Harness), wrap func(driver.Set) driver.Set) {
	if inner := os.Getenv("DRIVERTEST_INNER"); inner != "" {
		if inner == defect {
			h := drivertest.Driver(memory.Spec()).Wrapped(defect, wrap)
			h.Patience = 300 * time.Millisecond
			model(t, h)
		}
		return
	}
	t.Parallel()
	// It stops at the first find; 50 tries missed one defect in a hundred.
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+regexp.QuoteMeta(t.Name())+"$", "-rapid.nofailfile", "-rapid.checks=3000", "-rapid.shrinktime=1s")
	cmd.Env = append(os.Environ(), "DRIVERTEST_INNER="+defect)
	out, err := cmd.CombinedOutput()
	if err == nil || !bytes.Contains(out, []byte("[rapid] failed")) {
		t.Errorf("the model did not find that %s: %v\n%s", defect, err, out)
	}
}

func TestModelFindsADefect(t *testing.T) {
	modelFinds(t, "Set loses the time to live", func(t *testing.T, broken drivertest.Harness) {
		drivertest.RunModel(t, drivertest.Driver(memory.Spec()), broken)
	}, func(s driver.Set) driver.Set {
		s.KeyValue = losesTTL{s.KeyValue}
		return s
	})
}

func TestPubSubModelFindsEachDefect(t *testing.T) {
	for _, d := range pubsubDefects {
		if d.model {
			t.Run(subtestName(d.name), func(t *testing.T) { modelFinds(t, d.name, drivertest.RunPubSubModel, d.wrap) })
		}
	}
}

// subtestName is a defect as a name that go test can be asked for.
func subtestName(defect string) string {
	return regexp.MustCompile(`\W+`).ReplaceAllString(defect, "-")
}

func TestModelAgreesAcrossRestarts(t *testing.T) {
	t.Setenv(drivertest.ModelRuns, "5")
	drivertest.RunModel(t, drivertest.Driver(memory.Spec()), restarting("restarted", true))
}
