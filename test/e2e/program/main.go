// Program is a small application: it speaks of namespaces and knows nothing of
// what keeps them. The test beside it runs it unchanged on one store after the
// other and compares what it prints.
//
//	program ADDRESS STORE   uses the namespaces kv-STORE, cache-STORE, events-STORE
//	                        and, where there is one, jobs-STORE
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/prism-data-layer/prism/pkg/client"
	"github.com/prism-data-layer/prism/pkg/prism"
)

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: program ADDRESS STORE")
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c := must(client.Dial(os.Args[1]))
	defer c.Close()
	run(ctx, c, os.Args[2])
}

func run(ctx context.Context, c *client.Client, store string) {
	keys(ctx, c.KeyValue("kv-"+store))
	cached(ctx, c.Cache("cache-"+store))
	events(ctx, c.PubSub("events-"+store))
	jobs(ctx, c.WorkQueue("jobs-"+store, "mail"))
}

// must ends the program where something fails.
func must[T any](v T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return v
}

// keys moves money between accounts, and watches it move.
func keys(ctx context.Context, kv *client.KeyValue) {
	watch := must(kv.Watch(ctx, client.WatchOptions{Prefix: "account/"}))
	defer watch.Close()
	version := must(kv.Set(ctx, "account/ann", []byte("30")))
	_, err := kv.Set(ctx, "account/ann", []byte("40"), client.CreateOnly())
	fmt.Println("keys: create again:", errors.Is(err, prism.ReasonAlreadyExists))
	_, err = kv.Set(ctx, "account/ann", []byte("40"), client.IfVersion(version+1))
	fmt.Println("keys: another version:", errors.Is(err, prism.ReasonVersionMismatch))
	must(kv.Transaction(ctx, func(tx *client.Tx) error {
		ann, _, err := tx.Get("account/ann")
		return errors.Join(err, tx.Set("account/bob", ann.Value), tx.Delete("account/ann"))
	}))
	for e, err := range kv.Scan(ctx, client.Range{}) {
		fmt.Printf("keys: %s = %s\n", e.Key, must(e.Value, err))
	}
	for n := 0; n < 3; {
		for _, c := range must(watch.Next()) {
			n++
			fmt.Printf("keys: watched %s %s\n", c.Kind, c.Key)
		}
	}
}

// cached computes a page once and keeps it for a while.
func cached(ctx context.Context, cache *client.Cache) {
	for range 2 {
		page := must(cache.GetOrFill(ctx, "page", time.Second, func(context.Context) ([]byte, error) {
			fmt.Println("cache: computed")
			return []byte("<html>"), nil
		}, client.TTL(time.Minute)))
		fmt.Printf("cache: %s\n", page)
	}
	fmt.Println("cache: set if absent:", must(cache.SetIfAbsent(ctx, "page", []byte("<b>"))))
	fmt.Println("cache: deleted:", must(cache.Delete(ctx, "page")))
	fmt.Println("cache: is there:", must(cache.Exists(ctx, "page")))
	must(cache.Increment(ctx, "visits", 1, 41))
	fmt.Println("cache: visits:", must(cache.Increment(ctx, "visits", 1, 0)))
}

// events publishes for whoever is subscribed.
func events(ctx context.Context, ps *client.PubSub) {
	sub := must(ps.Subscribe(ctx, "orders.*", client.SubscribeOptions{}))
	defer sub.Close()
	for _, topic := range []string{"orders.made", "invoices.made", "orders.paid"} {
		must(ps.Publish(ctx, client.Event{Topic: topic, Payload: []byte("17"), OrderingKey: "17", Attributes: map[string]string{"region": "eu"}}))
	}
	for n := 0; n < 2; {
		for _, e := range must(sub.Next()).Events {
			n++
			fmt.Printf("events: %s %s %s\n", e.Topic, e.Payload, e.Attributes["region"])
		}
	}
}

// jobs are worked off in the order of their key; one fails at first. A store
// without queues has no such namespace.
func jobs(ctx context.Context, q *client.WorkQueue) {
	_, err := q.Publish(ctx, client.Message{Payload: []byte("ann"), Key: "mail"})
	if errors.Is(err, prism.ReasonNotFound) {
		return
	}
	must(q.Publish(ctx, client.Message{Payload: []byte("bob"), Key: "mail"}))
	for n := range 3 {
		for _, m := range must(q.Receive(ctx, client.ReceiveOptions{Wait: 30 * time.Second})) {
			fmt.Printf("jobs: %s, attempt %d\n", m.Payload, m.Attempt)
			if n == 0 {
				must(m, q.Release(ctx, 0, "the mail server is away", m))
				continue
			}
			must(m, q.Ack(ctx, m))
		}
	}
}
