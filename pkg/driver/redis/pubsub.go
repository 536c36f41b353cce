package redis

import (
	"context"
	"errors"
	"hash/maphash"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// A pubsub has one connection for all subscriptions of the gateway, from which
// it hands events on by itself: Redis sends each event once for a topic, and
// once for each pattern, however many follow it.
//
// A lost connection may have lost events, so it ends every subscription:
// nobody is left with a gap that he does not know of.
type pubsub struct {
	s     *store
	lanes [lanes]lane
	seed  maphash.Seed
	work  sync.WaitGroup

	wire sync.Mutex // held from deciding what to follow until it is written
	mu   sync.Mutex // guards what follows
	line *line      // nil without a connection
}

var (
	_ driver.PubSub          = (*pubsub)(nil)
	_ driver.PubSubWildcards = (*pubsub)(nil)
	_ driver.PubSubFiltering = (*pubsub)(nil)
	_ driver.PubSubOrdering  = (*pubsub)(nil)
)

// A line is a connection with those who follow something on it.
type line struct {
	conn    *redis.PubSub
	follows map[source]*following
	reading bool
	lost    error // set once
}

// A source is a channel or a pattern of channels.
type source struct {
	name    string
	pattern bool
}

type following struct {
	subs    map[*subscriber]struct{}
	waiting []*subscriber // for the server to confirm
}

func newPubSub(s *store) *pubsub { return &pubsub{s: s, seed: maphash.MakeSeed()} }

// topics is what the channels of a namespace begin with; the topic follows.
func (s *store) topics(ns prism.Namespace) string { return s.channels + prefix(ns) + "e" }

// glob is a pattern of Redis that covers at least what a pattern of topics
// does: its * also stands for dots.
func glob(pattern string) string {
	tokens := strings.Split(pattern, ".")
	for i, t := range tokens {
		if t == "*" || t == ">" {
			tokens[i] = "*"
		} else {
			tokens[i] = literal(t)
		}
	}
	return strings.Join(tokens, ".")
}

func wild(pattern string) bool {
	return strings.HasSuffix(pattern, ">") || strings.Contains("."+pattern+".", ".*.")
}

// publisher is where the events of a namespace go: on a cluster always to the same node,
// so that they keep their order, which hands them to all others. PUBLISH rather than
// SPUBLISH, which would spare the others, because that knows no patterns.
func (p *pubsub) publisher(ctx context.Context, topics string) (redis.Cmdable, error) {
	if p.s.cluster == nil {
		return p.s.node, nil
	}
	return p.s.cluster.MasterForKey(ctx, topics)
}

// Publish is one pipeline of PUBLISH. Redis counts connections, which share
// what they get, so nobody knows how many subscriptions an event went to.
func (p *pubsub) Publish(ctx context.Context, ns prism.Namespace, events []driver.Event, results []driver.PublishResult) error {
	if err := p.s.enter(ctx); err != nil {
		return err
	}
	defer p.s.leave()
	if len(results) < len(events) {
		return prism.InvalidField("results", "must have room for every event")
	}
	all := make([]*driver.Event, len(events))
	for i := range events {
		all[i] = &events[i]
	}
	errs, err := p.send(ctx, p.s.topics(ns), all)
	for i := range errs {
		results[i] = driver.PublishResult{Subscribers: -1, Err: errs[i]}
	}
	return err
}

// send publishes events in order. The error is for all, when nothing was sent.
func (p *pubsub) send(ctx context.Context, topics string, events []*driver.Event) ([]error, error) {
	if len(events) == 0 {
		return nil, nil
	}
	to, err := p.publisher(ctx, topics)
	if err != nil {
		return nil, p.s.classify(ctx, err)
	}
	pipe := to.Pipeline()
	cmds := make([]*redis.IntCmd, len(events))
	for i, e := range events {
		cmds[i] = pipe.Publish(ctx, topics+e.Topic, appendEvent(nil, e))
	}
	if _, err = pipe.Exec(ctx); p.s.cluster != nil {
		sentOnce{p.s.cluster}.look(ctx, err)
	}
	if untried(err) {
		return nil, p.s.classify(ctx, err)
	}
	errs := make([]error, len(events))
	for i, cmd := range cmds {
		errs[i] = p.s.classify(ctx, cmd.Err())
	}
	return errs, nil
}

const lanes = 16

// A lane sends events one pipeline after the other, in the order in which they
// were put in. Events with one ordering key are in one lane.
type lane struct {
	mu      sync.Mutex
	queue   []*job
	running bool
}

// A job is what one call has for one lane.
type job struct {
	topics string
	at     []int // places in the call's events
	events []*driver.Event
	errs   []error
	done   chan struct{}
}

// PublishOrdered gives each event to the lane of its key.
func (p *pubsub) PublishOrdered(ctx context.Context, ns prism.Namespace, events []driver.Event, results []driver.PublishResult) error {
	if err := p.s.enter(ctx); err != nil {
		return err
	}
	defer p.s.leave()
	if len(results) < len(events) {
		return prism.InvalidField("results", "must have room for every event")
	}
	jobs := map[int]*job{}
	for i := range events {
		n := int(maphash.String(p.seed, string(ns)+"\x00"+events[i].OrderingKey) % lanes)
		j := jobs[n]
		if j == nil {
			j = &job{topics: p.s.topics(ns), done: make(chan struct{})}
			jobs[n] = j
		}
		e := events[i] // the caller may not wait until it is sent
		e.Payload = append([]byte(nil), e.Payload...)
		e.Attributes = cloneAttributes(e.Attributes)
		j.at, j.events = append(j.at, i), append(j.events, &e)
	}
	for n, j := range jobs {
		p.put(&p.lanes[n], j)
	}
	for _, j := range jobs {
		select {
		case <-j.done:
			for n, i := range j.at {
				results[i] = driver.PublishResult{Subscribers: -1, Err: j.errs[n]}
			}
		case <-ctx.Done():
			for _, i := range j.at {
				results[i] = driver.PublishResult{Subscribers: -1, Err: prism.From(ctx.Err())}
			}
		}
	}
	return nil
}

func cloneAttributes(m map[string]string) map[string]string {
	if m == nil {
		return nil
	}
	c := make(map[string]string, len(m))
	for k, v := range m {
		c[k] = v
	}
	return c
}

func (p *pubsub) put(l *lane, j *job) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.queue = append(l.queue, j)
	if !l.running {
		l.running = true
		p.work.Go(func() { p.run(l) })
	}
}

// run works a lane off.
func (p *pubsub) run(l *lane) {
	for {
		l.mu.Lock()
		if len(l.queue) == 0 {
			l.queue, l.running = nil, false
			l.mu.Unlock()
			return
		}
		j := l.queue[0]
		l.queue = l.queue[1:]
		l.mu.Unlock()
		ctx, cancel := context.WithTimeout(context.Background(), p.s.options.Timeout)
		errs, err := p.send(ctx, j.topics, j.events)
		cancel()
		if j.errs = errs; err != nil {
			j.errs = make([]error, len(j.events))
			for i := range j.errs {
				j.errs[i] = err
			}
		}
		close(j.done)
	}
}

// Subscribe follows one topic.
func (p *pubsub) Subscribe(ctx context.Context, ns prism.Namespace, s driver.Subscription) (driver.Subscriber, error) {
	s.Filter = nil
	return p.follow(ctx, source{name: p.s.topics(ns) + s.Pattern}, p.s.topics(ns), s)
}

// SubscribePattern follows what the server's wider pattern gives, and keeps
// what the pattern covers.
func (p *pubsub) SubscribePattern(ctx context.Context, ns prism.Namespace, s driver.Subscription) (driver.Subscriber, error) {
	s.Filter = nil
	return p.SubscribeFiltered(ctx, ns, s)
}

// SubscribeFiltered looks at the attributes here: Redis knows bytes only.
func (p *pubsub) SubscribeFiltered(ctx context.Context, ns prism.Namespace, s driver.Subscription) (driver.Subscriber, error) {
	topics := p.s.topics(ns)
	from := source{name: topics + s.Pattern}
	if wild(s.Pattern) {
		from = source{name: literal(topics) + glob(s.Pattern), pattern: true}
	}
	return p.follow(ctx, from, topics, s)
}

func (p *pubsub) follow(ctx context.Context, from source, topics string, s driver.Subscription) (driver.Subscriber, error) {
	if err := p.s.enter(ctx); err != nil {
		return nil, err
	}
	defer p.s.leave()
	if s.Pending < 1 {
		return nil, prism.InvalidField("pending", "must be positive")
	}
	sub := &subscriber{p: p, from: from, topics: topics, s: s, ready: make(chan struct{}), wake: make(chan struct{}, 1)}
	if err := p.begin(ctx, sub); err != nil {
		return nil, p.s.classify(ctx, err)
	}
	select {
	case <-sub.ready:
		return sub, sub.failure()
	case <-p.s.closing:
		_ = sub.Close()
		return nil, p.s.closedError()
	case <-ctx.Done():
		_ = sub.Close()
		return nil, prism.From(ctx.Err())
	}
}

// begin asks the server for what sub follows, also if others follow it: what
// was published before is then before the answer.
func (p *pubsub) begin(ctx context.Context, sub *subscriber) error {
	p.wire.Lock()
	defer p.wire.Unlock()
	p.mu.Lock()
	l := p.line
	if l == nil || l.lost != nil {
		l = &line{conn: p.s.client.Subscribe(context.WithoutCancel(ctx)), follows: map[source]*following{}}
		p.line = l
	}
	f := l.follows[sub.from]
	if f == nil {
		f = &following{subs: map[*subscriber]struct{}{}}
		l.follows[sub.from] = f
	}
	f.waiting = append(f.waiting, sub)
	sub.line = l
	p.mu.Unlock()
	ask := l.conn.Subscribe
	if sub.from.pattern {
		ask = l.conn.PSubscribe
	}
	if err := ask(ctx, sub.from.name); err != nil {
		p.lose(l, p.s.classify(ctx, err))
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !l.reading && l.lost == nil {
		l.reading = true
		p.work.Go(func() { p.read(l) })
	}
	return l.lost
}

// listens is how long the server may be silent before it is asked; it is lost
// when it is silent as long again.
const listens = 5 * time.Second

// read hands on what comes, until the connection is lost.
func (p *pubsub) read(l *line) {
	silent := false
	for {
		msg, err := l.conn.ReceiveTimeout(context.Background(), listens)
		var late net.Error
		if errors.As(err, &late) && late.Timeout() && !silent {
			silent = true
			if err = l.conn.Ping(context.Background()); err == nil {
				continue
			}
		}
		if err != nil {
			p.lose(l, p.s.classify(context.Background(), err))
			return
		}
		silent = false
		switch m := msg.(type) {
		case *redis.Subscription:
			if m.Kind == "subscribe" || m.Kind == "psubscribe" {
				p.confirm(l, source{m.Channel, m.Kind == "psubscribe"})
			}
		case *redis.Message:
			p.deliver(l, m)
		}
	}
}

// confirm lets the first who waits for a source have what comes from now on.
func (p *pubsub) confirm(l *line, from source) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f := l.follows[from]
	if f == nil || len(f.waiting) == 0 {
		return
	}
	sub := f.waiting[0]
	f.waiting = f.waiting[1:]
	f.subs[sub] = struct{}{}
	close(sub.ready)
}

func (p *pubsub) deliver(l *line, m *redis.Message) {
	p.mu.Lock()
	defer p.mu.Unlock()
	from := source{name: m.Channel}
	if m.Pattern != "" {
		from = source{m.Pattern, true}
	}
	f := l.follows[from]
	if f == nil {
		return
	}
	var e *driver.Event
	for sub := range f.subs {
		topic, ok := strings.CutPrefix(m.Channel, sub.topics)
		if !ok || from.pattern && !driver.MatchTopic(sub.s.Pattern, topic) {
			continue
		}
		if e == nil {
			parsed, err := parseEvent([]byte(m.Payload))
			if err != nil {
				p.s.log.Warn("something else publishes on the channels of this driver", "error", err)
				return
			}
			parsed.Topic = topic
			e = &parsed
		}
		sub.offer(e)
	}
}

// lose ends everybody on a line.
func (p *pubsub) lose(l *line, why error) {
	p.mu.Lock()
	if l.lost != nil {
		p.mu.Unlock()
		return
	}
	l.lost = why
	if p.line == l {
		p.line = nil
	}
	for _, f := range l.follows {
		for sub := range f.subs {
			sub.end(why)
		}
		for _, sub := range f.waiting {
			sub.end(why)
			close(sub.ready)
		}
	}
	clear(l.follows)
	p.mu.Unlock()
	_ = l.conn.Close()
}

// leave takes a subscription off its line, and lets go of what nobody else
// follows.
func (p *pubsub) leave(sub *subscriber) {
	p.wire.Lock()
	defer p.wire.Unlock()
	p.mu.Lock()
	l := sub.line
	f := l.follows[sub.from]
	if f == nil {
		p.mu.Unlock()
		return
	}
	delete(f.subs, sub)
	for i, w := range f.waiting {
		if w == sub {
			f.waiting = append(f.waiting[:i:i], f.waiting[i+1:]...)
			break
		}
	}
	last := len(f.subs) == 0 && len(f.waiting) == 0
	if last {
		delete(l.follows, sub.from)
	}
	p.mu.Unlock()
	if !last {
		return
	}
	drop := l.conn.Unsubscribe
	if sub.from.pattern {
		drop = l.conn.PUnsubscribe
	}
	ctx, cancel := context.WithTimeout(context.Background(), p.s.options.Timeout)
	defer cancel()
	if err := drop(ctx, sub.from.name); err != nil {
		p.lose(l, p.s.classify(ctx, err))
	}
}

// close ends every subscription; calls have ended.
func (p *pubsub) close() {
	p.mu.Lock()
	l := p.line
	p.mu.Unlock()
	if l != nil {
		p.lose(l, p.s.closedError())
	}
	p.work.Wait()
}
