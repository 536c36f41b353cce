package client

import (
	"context"
	"crypto/rand"
	"sync"

	"github.com/prism-data-layer/prism/pkg/prism"
)

// An inbox is the topic that answers to our requests come to. It is made for
// the first request and shared by all; each answer finds its request by the
// correlation id.
type inbox struct {
	topic string
	ready chan struct{} // closed when sub and err are set
	sub   *Subscription
	err   error

	mu    sync.Mutex
	waits map[string]chan answer
	lost  *prism.Error // why no answer comes any more
}

type answer struct {
	event Event
	err   *prism.Error
}

// Request publishes to a topic and waits for the first answer. When nobody is
// subscribed it fails at once with UNAVAILABLE, where the backend knows.
func (p *PubSub) Request(ctx context.Context, topic string, payload []byte) (Event, error) {
	ctx, cancel := bound(ctx)
	defer cancel()
	in, err := p.openInbox(ctx)
	if err != nil {
		return Event{}, err
	}
	id := rand.Text()
	got, err := in.expect(id)
	if err != nil {
		return Event{}, err
	}
	defer in.forget(id)
	sent, err := p.Publish(ctx, Event{Topic: topic, Payload: payload, ReplyTo: in.topic, CorrelationID: id})
	if err != nil {
		return Event{}, err
	}
	if sent.Subscribers == 0 {
		return Event{}, prism.New(prism.ReasonUnavailable, "nobody is subscribed to topic %q", topic)
	}
	select {
	case a := <-got:
		if a.err != nil {
			return Event{}, a.err
		}
		return a.event, nil
	case <-ctx.Done():
		return Event{}, prism.From(ctx.Err())
	}
}

// Reply answers a request.
func (p *PubSub) Reply(ctx context.Context, request Event, payload []byte) error {
	if request.ReplyTo == "" {
		return prism.InvalidField("reply_to", "is empty: the event is no request")
	}
	_, err := p.Publish(ctx, Event{Topic: request.ReplyTo, CorrelationID: request.CorrelationID, Payload: payload})
	return err
}

// Close ends what requests have opened.
func (p *PubSub) Close() {
	p.mu.Lock()
	in := p.inbox
	p.inbox = nil
	p.mu.Unlock()
	if in != nil {
		<-in.ready
		if in.sub != nil {
			in.sub.Close()
		}
	}
}

// openInbox gives the inbox once it stands; the first caller makes it.
func (p *PubSub) openInbox(ctx context.Context) (*inbox, error) {
	p.mu.Lock()
	in := p.inbox
	made := in == nil
	if made {
		in = &inbox{topic: "_inbox." + rand.Text(), ready: make(chan struct{}), waits: map[string]chan answer{}}
		p.inbox = in
	}
	p.mu.Unlock()
	if made {
		in.sub, in.err = p.subscribeFor(ctx, in.topic)
		close(in.ready)
		if in.err != nil {
			p.drop(in)
			return nil, in.err
		}
		go func() {
			in.read()
			p.drop(in)
		}()
	}
	select {
	case <-in.ready:
		return in, in.err
	case <-ctx.Done():
		return nil, prism.From(ctx.Err())
	}
}

// subscribeFor subscribes for as long as the client lives, but waits for it only
// as long as ctx.
func (p *PubSub) subscribeFor(ctx context.Context, topic string) (*Subscription, error) {
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, end)
	sub, err := p.Subscribe(life, topic, SubscribeOptions{MaxPending: 100_000})
	if err != nil || !stop() { // it stands, but nobody waits for it
		end()
		if err == nil {
			err = ctx.Err()
		}
		return nil, prism.From(err)
	}
	context.AfterFunc(sub.ctx, end)
	return sub, nil
}

// drop lets the next request make another inbox.
func (p *PubSub) drop(in *inbox) {
	p.mu.Lock()
	if p.inbox == in {
		p.inbox = nil
	}
	p.mu.Unlock()
}

func (in *inbox) expect(id string) (<-chan answer, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.lost != nil {
		return nil, in.lost
	}
	c := make(chan answer, 1)
	in.waits[id] = c
	return c, nil
}

func (in *inbox) forget(id string) {
	in.mu.Lock()
	delete(in.waits, id)
	in.mu.Unlock()
}

// read hands out answers until the subscription ends. One that was lost and
// made anew may have missed some: those who wait are told.
func (in *inbox) read() {
	for {
		d, err := in.sub.Next()
		if err != nil {
			in.fail(prism.New(prism.ReasonUnavailable, "the subscription for answers has ended").WithCause(err), true)
			return
		}
		if d.Gap != nil {
			in.fail(d.Gap, false)
		}
		for _, e := range d.Events {
			in.mu.Lock()
			c := in.waits[e.CorrelationID]
			delete(in.waits, e.CorrelationID) // the first answer counts
			in.mu.Unlock()
			if c != nil {
				c <- answer{event: e}
			}
		}
	}
}

// fail ends the requests that wait, and with final those to come.
func (in *inbox) fail(why *prism.Error, final bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	for id, c := range in.waits {
		c <- answer{err: why}
		delete(in.waits, id)
	}
	if final {
		in.lost = why
	}
}
