package broker_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/driver/broker"
	"github.com/prism-data-layer/prism/pkg/prism"
)

const ns = prism.Namespace("ns")

func subscribe(t testing.TB, b *broker.Broker, group string, s driver.Subscription) driver.Subscriber {
	t.Helper()
	if s.Pending == 0 {
		s.Pending = 1000
	}
	sub, err := b.Subscribe(ns, group, s)
	if err != nil {
		t.Fatal(err)
	}
	return sub
}

func publish(b *broker.Broker, topics ...string) (counts []int64) {
	events := make([]driver.Event, len(topics))
	for i, topic := range topics {
		events[i] = driver.Event{Topic: topic, Payload: []byte(topic)}
	}
	counts = make([]int64, len(topics))
	b.Publish(ns, events, false, func(i int, n int64) { counts[i] = n })
	return counts
}

// impatient is a context that is over as soon as it is waited for.
type impatient struct {
	context.Context
	waited bool
}

var over = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

func (c *impatient) Done() <-chan struct{} { c.waited = true; return over }

func (c *impatient) Err() error {
	if c.waited {
		return context.Canceled
	}
	return nil
}

// ready is what waits for a subscription.
func ready(t testing.TB, s driver.Subscriber) (topics []string) {
	t.Helper()
	for {
		got, _ := s.Next(&impatient{Context: t.Context()})
		if len(got.Events) == 0 {
			return topics
		}
		for _, e := range got.Events {
			topics = append(topics, e.Topic)
		}
	}
}

// The trie finds what MatchTopic finds, whatever comes and goes.
func TestTheTrieFindsWhatMatches(t *testing.T) {
	token := rapid.SampledFrom([]string{"a", "b", "c"})
	topic := rapid.Custom(func(r *rapid.T) string {
		s := token.Draw(r, "token")
		for range rapid.IntRange(0, 3).Draw(r, "more") {
			s += "." + token.Draw(r, "token")
		}
		return s
	})
	pattern := rapid.Custom(func(r *rapid.T) string {
		s := rapid.SampledFrom([]string{"a", "b", "*"}).Draw(r, "token")
		for range rapid.IntRange(0, 3).Draw(r, "more") {
			s += "." + rapid.SampledFrom([]string{"a", "b", "*"}).Draw(r, "token")
		}
		if rapid.Bool().Draw(r, "rest") {
			s += ".>"
		}
		return s
	})
	rapid.Check(t, func(r *rapid.T) {
		b := broker.New()
		open := map[driver.Subscriber]string{}
		for range rapid.IntRange(1, 12).Draw(r, "subscriptions") {
			p := pattern.Draw(r, "pattern")
			s, err := b.Subscribe(ns, "", driver.Subscription{Pattern: p, Pending: 10})
			if err != nil {
				r.Fatal(err)
			}
			open[s] = p
		}
		for s := range open {
			if rapid.Bool().Draw(r, "leaves") {
				_ = s.Close()
				delete(open, s)
			}
		}
		at := topic.Draw(r, "topic")
		var want int64
		for _, p := range open {
			if driver.MatchTopic(p, at) {
				want++
			}
		}
		if got := publish(b, at)[0]; got != want {
			r.Fatalf("%s went to %d of %v, want %d", at, got, open, want)
		}
		for s := range open {
			_ = s.Close()
		}
		if n := b.Subscriptions(ns); n != 0 {
			r.Fatalf("%d subscriptions are left", n)
		}
	})
}

func TestAnEventIsSharedAndCopiedOnce(t *testing.T) {
	t.Parallel()
	b := broker.New()
	one, two := subscribe(t, b, "", driver.Subscription{Pattern: "a"}), subscribe(t, b, "", driver.Subscription{Pattern: "a"})
	payload := []byte("first")
	e := driver.Event{Topic: "a", Payload: payload, Attributes: map[string]string{"k": "v"}, Receipt: driver.Receipt{Keep: 1}, Position: driver.Position{1}}
	b.Publish(ns, []driver.Event{e}, true, func(int, int64) {})
	copy(payload, "XXXXX")
	x, err1 := one.Next(t.Context())
	y, err2 := two.Next(t.Context())
	if err1 != nil || err2 != nil || string(x.Events[0].Payload) != "first" || &x.Events[0].Payload[0] != &y.Events[0].Payload[0] {
		t.Errorf("got %v and %v, %v %v", x, y, err1, err2)
	}
	if x.Events[0].Position != nil || !x.Events[0].Receipt.IsZero() {
		t.Errorf("what is the publisher's came along: %+v", x.Events[0])
	}
}

func TestAMemberThatLeavesGivesWhatItHadNotRead(t *testing.T) {
	t.Parallel()
	b := broker.New()
	one, two := subscribe(t, b, "g", driver.Subscription{Pattern: "a.*"}), subscribe(t, b, "g", driver.Subscription{Pattern: "a.>"})
	outside := subscribe(t, b, "", driver.Subscription{Pattern: "a.b"})
	for range 10 {
		publish(b, "a.b")
	}
	_ = one.Close()
	if got := ready(t, two); len(got) != 10 {
		t.Errorf("the other member has %d of 10", len(got))
	}
	if got := ready(t, outside); len(got) != 10 {
		t.Errorf("the one outside has %d of 10", len(got))
	}
	_ = two.Close()
	if n := publish(b, "a.b")[0]; n != 1 {
		t.Errorf("a group without members got it: %d", n)
	}
}

func TestAGroupPrefersTheMemberWithRoom(t *testing.T) {
	t.Parallel()
	b := broker.New()
	small := subscribe(t, b, "g", driver.Subscription{Pattern: "a", Pending: 2, Slow: driver.SlowDrop})
	filtered := subscribe(t, b, "g", driver.Subscription{Pattern: "a", Filter: driver.Filter{{Attribute: "k", Op: driver.FilterExists}}})
	large := subscribe(t, b, "g", driver.Subscription{Pattern: "a", Pending: 20, Slow: driver.SlowDisconnect})
	for range 22 {
		publish(b, "a")
	}
	if n := publish(b, "a")[0]; n != 0 {
		t.Errorf("with no room left it went to %d", n)
	}
	if s, l, f := ready(t, small), ready(t, large), ready(t, filtered); len(s) != 2 || len(l) != 20 || len(f) != 0 {
		t.Errorf("they have %d, %d and %d", len(s), len(l), len(f))
	}
}

func TestCloseEndsAllAndRefusesMore(t *testing.T) {
	t.Parallel()
	b := broker.New()
	s := subscribe(t, b, "", driver.Subscription{Pattern: "a"})
	publish(b, "a")
	b.Close(prism.New(prism.ReasonBackendUnavailable, "closed"))
	if e, err := s.Next(t.Context()); err != nil || len(e.Events) != 1 {
		t.Errorf("what waited is lost: %v", err)
	}
	if _, err := s.Next(t.Context()); !errors.Is(err, prism.ReasonBackendUnavailable) {
		t.Errorf("it ends with %v", err)
	}
	if _, err := b.Subscribe(ns, "", driver.Subscription{Pattern: "a", Pending: 1}); !errors.Is(err, prism.ReasonBackendUnavailable) {
		t.Errorf("Subscribe: %v", err)
	}
	if n := publish(b, "a")[0]; n != 0 {
		t.Errorf("an ended subscription got it")
	}
}

func TestBurstsComeWhole(t *testing.T) {
	t.Parallel()
	b := broker.New()
	s := subscribe(t, b, "", driver.Subscription{Pattern: "a", Pending: 5000})
	for range 3 {
		topics := slices.Repeat([]string{"a"}, 5000)
		publish(b, topics...)
		if got := ready(t, s); len(got) != 5000 {
			t.Errorf("got %d of 5000", len(got))
		}
	}
}

// A list is a Log in memory.
type list struct {
	mu      sync.Mutex
	extent  broker.Extent
	events  []*driver.Event
	changed chan struct{}
	err     error
}

func newList() *list { return &list{extent: broker.Extent{Epoch: 7}, changed: make(chan struct{})} }

func (l *list) add(topics ...string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, topic := range topics {
		l.events = append(l.events, &driver.Event{Topic: topic})
		l.extent.Last++
	}
	close(l.changed)
	l.changed = make(chan struct{})
}

func (l *list) Extent() (broker.Extent, <-chan struct{}, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.extent, l.changed, l.err
}

func (l *list) Read(_ broker.Extent, after uint64) ([]*driver.Event, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.events[after:min(int(after)+5, len(l.events))], l.err
}

func TestAReaderTellsPassingPositionsNowAndThen(t *testing.T) {
	t.Parallel()
	l, now := newList(), clock.NewFake(time.Unix(0, 0))
	r := broker.Follow(l, now, driver.Replay{Pattern: "a"}, 7, 0)
	first, err := r.Next(t.Context())
	if err != nil || len(first.Events) != 0 {
		t.Fatalf("the first batch: %v %v", first, err)
	}
	l.add("b", "b", "b", "b", "b", "b", "b")
	got := make(chan driver.Replayed, 1)
	go func() {
		b, _ := r.Next(t.Context())
		got <- b
	}()
	for deadline := time.Now().Add(10 * time.Second); ; {
		select {
		case b := <-got:
			if n, err := l.extent.Number(b.Position); err != nil || n != 7 || len(b.Events) != 0 {
				t.Errorf("told is %d, %v with %d events", n, err, len(b.Events))
			}
			return
		case <-time.After(time.Millisecond):
			now.Advance(time.Second)
			if time.Now().After(deadline) {
				t.Fatal("no position was told")
			}
		}
	}
}

func TestAReaderEndsWithItsLog(t *testing.T) {
	t.Parallel()
	l := newList()
	l.add("a", "a", "a")
	for name, change := range map[string]func(){
		"trimmed": func() { l.extent.Floor = 2 }, "another epoch": func() { l.extent.Floor, l.extent.Epoch = 0, 8 },
	} {
		r := broker.Follow(l, clock.Real(), driver.Replay{Pattern: "a"}, 7, 1)
		change()
		if _, err := r.Next(t.Context()); !errors.Is(err, prism.ReasonCompacted) {
			t.Errorf("%s: %v", name, err)
		}
	}
	l.err = prism.New(prism.ReasonBackendUnavailable, "closed")
	if _, err := broker.Follow(l, clock.Real(), driver.Replay{}, 8, 0).Next(t.Context()); !errors.Is(err, prism.ReasonBackendUnavailable) {
		t.Errorf("a closed log: %v", err)
	}
}

func TestPositionsAreOfTheirLog(t *testing.T) {
	t.Parallel()
	e := broker.Extent{Epoch: 7, Floor: 3, Last: 9}
	for number, ok := range map[uint64]bool{2: false, 3: true, 9: true, 10: false} {
		if n, err := e.Number(e.Position(number)); (err == nil) != ok || ok && n != number {
			t.Errorf("position %d: %d, %v", number, n, err)
		}
		if n, err := e.Acked(e.Position(number)); (err == nil) != (number <= 9) || err == nil && n != number {
			t.Errorf("acknowledged %d: %d, %v", number, n, err)
		}
	}
	other := broker.Extent{Epoch: 8, Last: 9}
	if _, err := e.Number(other.Position(5)); !errors.Is(err, prism.ReasonCompacted) {
		t.Errorf("a position of another log: %v", err)
	}
	for _, p := range []driver.Position{nil, {1}, append(driver.Position{2}, e.Position(5)[1:]...)} {
		if _, err := e.Number(p); !errors.Is(err, prism.ReasonInvalidArgument) {
			t.Errorf("position %x: %v", p, err)
		}
		if _, err := e.Acked(p); !errors.Is(err, prism.ReasonInvalidArgument) {
			t.Errorf("acknowledged %x: %v", p, err)
		}
	}
}

// What is about to go moves a name along only where it is nothing to it.
func TestANameIsNotOvertakenByWhatItDoesNotFollow(t *testing.T) {
	t.Parallel()
	topics := []string{"b", "b", "a", "b", "b"} // 1 to 5
	topic := func(n uint64) string { return topics[n-1] }
	follower := func(at uint64, filter driver.Filter) (*broker.Name, *broker.Reader) {
		l := newList()
		l.add(topics...)
		n := &broker.Name{Pattern: "a", Start: at}
		r := broker.Follow(l, clock.Real(), driver.Replay{Pattern: "a", Filter: filter}, 7, at)
		n.Take(r)
		return n, r
	}
	for name, c := range map[string]struct {
		n    broker.Name
		want uint64
	}{
		"owes 3":      {broker.Name{Pattern: "a"}, 2},
		"has acked 3": {broker.Name{Pattern: "a", Acked: 3}, 4},
		"is ahead":    {broker.Name{Pattern: "a", Acked: 5}, 5},
		"follows all": {broker.Name{Pattern: ">"}, 0},
	} {
		if c.n.Pass(0, 4, topic); c.n.At() != c.want {
			t.Errorf("%s: it is at %d, want %d", name, c.n.At(), c.want)
		}
	}
	n, r := follower(0, driver.Filter{{Attribute: "k", Op: driver.FilterExists}})
	if _, err := r.Next(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n.Pass(0, 4, topic); n.At() != 5 {
		t.Errorf("a reader that has passed all is at %d, want 5", n.At())
	}
	n, r = follower(0, nil)
	if b, err := r.Next(t.Context()); err != nil || len(b.Events) != 1 {
		t.Fatal(b, err)
	}
	if n.Pass(0, 4, topic); n.At() != 2 {
		t.Errorf("a reader that owes event 3 is at %d, want 2", n.At())
	}
	n.End("n")
	if _, err := r.Next(t.Context()); !errors.Is(err, prism.ReasonNotFound) {
		t.Errorf("a forgotten name's reader ends with %v", err)
	}
	lost := broker.Name{Pattern: "a"}
	if lost.Pass(2, 4, topic) || lost.At() != 0 {
		t.Errorf("a name that lost events before is at %d", lost.At())
	}
}

// BenchmarkFanOut is one publisher and 100 subscriptions that read.
func BenchmarkFanOut(b *testing.B) {
	br := broker.New()
	var readers sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	for range 100 {
		s := subscribe(b, br, "", driver.Subscription{Pattern: "a.b", Pending: 100_000})
		readers.Go(func() {
			for ctx.Err() == nil {
				_, _ = s.Next(ctx)
			}
		})
	}
	e := []driver.Event{{Topic: "a.b", Payload: make([]byte, 100)}}
	b.ReportAllocs()
	for b.Loop() {
		br.Publish(ns, e, false, func(int, int64) {})
	}
	cancel()
	readers.Wait()
	b.ReportMetric(float64(b.N)*100/b.Elapsed().Seconds(), "deliveries/s")
}
