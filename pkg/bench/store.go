package bench

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"github.com/prism-data-layer/prism/loadtest/scenario"
	"github.com/prism-data-layer/prism/loadtest/workload/kv"
	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/config"
	"github.com/prism-data-layer/prism/pkg/data"
	"github.com/prism-data-layer/prism/pkg/data/cache"
	"github.com/prism-data-layer/prism/pkg/data/keyvalue"
	"github.com/prism-data-layer/prism/pkg/data/pubsub"
	"github.com/prism-data-layer/prism/pkg/data/timeseries"
	"github.com/prism-data-layer/prism/pkg/data/workqueue"
	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/guard"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// namespace is the bench's own: no client can name it, for names have no
// capitals.
const namespace = prism.Namespace("BENCH")

// place is where in it things lie.
var place = scenario.Place{Run: "bench"}

// A store is an opened backend with a namespace of the bench's own.
type store struct {
	target     any // what the model's workload wants
	set        driver.Set
	durability string
	dir        string // to be removed; empty: it was there before
}

// open opens the backend as a gateway would, guard included.
func open(ctx context.Context, model string, b config.Backend, dir string, drivers driver.Registry, log *slog.Logger) (*store, error) {
	spec, ok := drivers.Find(b.Driver)
	if !ok {
		return nil, prism.New(prism.ReasonInvalidConfig, "backend %q: there is no driver %q, only %v", b.Name, b.Driver, drivers.Names())
	}
	s := &store{}
	if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
		s.dir = dir
	}
	c := clock.Real()
	set, err := spec.Open(ctx, driver.Config{Name: b.Name, Dir: dir, Clock: c, Log: log, Options: b.Options.Decode})
	if err != nil {
		return nil, errors.Join(err, s.tidy())
	}
	s.durability = set.Info.Durability
	s.set = guard.New(b.Name, guard.Settings{
		Off: b.Guard.Mode == config.Off, CallTimeout: b.Guard.CallTimeout, MaxInFlight: int(b.Guard.MaxInFlight), Failures: int(b.Guard.Failures),
	}, c).Wrap(set)
	secret := make([]byte, 32)
	rand.Read(secret) //nolint:errcheck // crypto/rand does not fail
	if err := s.serve(ctx, model, data.NewSealer(secret), c); err != nil {
		return nil, errors.Join(err, s.close())
	}
	if s.target == nil {
		err := prism.New(prism.ReasonCapabilityMissing, "backend %q of driver %s cannot serve %s", b.Name, b.Driver, model)
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// serve makes the target of a model, none where the backend lacks it.
func (s *store) serve(ctx context.Context, model string, sealer *data.Sealer, c clock.Clock) error {
	switch {
	case model == "kv" && s.set.Has("keyvalue_basic"):
		s.target = keys{keyvalue.New(s.set, namespace, keyvalue.Policy{}, sealer, c)}
	case model == "cache" && s.set.Has("cache_basic"):
		s.target = entries{cache.New(s.set, namespace, cache.Policy{}, sealer, c, nil)}
	case model == "queue" && s.set.Has("queue_basic"):
		w := work{workqueue.New(s.set, namespace, workqueue.Policy{}, sealer, c, data.NewNames()), place.Name()}
		s.target = w
		_, err := w.Create(ctx, w.name, workqueue.Settings{}) // a consumer may come before the first message
		return err
	case model == "pubsub" && s.set.Has("pubsub_basic"):
		s.target = topics{pubsub.New(s.set, namespace, pubsub.Policy{}, pubsub.NewRegistry(), sealer, c)}
	case model == "ts" && s.set.Has("timeseries_basic"):
		s.target = series{timeseries.New(s.set, namespace, timeseries.Policy{}, sealer, c, timeseries.NewIntake(c, new(atomic.Int64)))}
	}
	return nil
}

// clearTime bounds the deletion of what the bench wrote.
const clearTime = time.Minute

// close deletes what the bench wrote, and closes the store.
func (s *store) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), clearTime)
	defer cancel()
	return errors.Join(s.set.Store.Drop(ctx, namespace), s.set.Store.Close(), s.tidy())
}

func (s *store) tidy() error {
	if s.dir == "" {
		return nil
	}
	return os.RemoveAll(s.dir)
}

// keys is a key-value namespace.
type keys struct{ *keyvalue.Store }

var _ kv.Target = keys{}

func (k keys) Get(ctx context.Context, key string) ([]byte, bool, error) {
	e, err := k.Store.Get(ctx, key)
	if errors.Is(err, prism.ReasonNotFound) {
		return nil, false, nil
	}
	return e.Value, err == nil, err
}

func (k keys) Set(ctx context.Context, key string, value []byte) error {
	_, err := k.Do(ctx, &keyvalue.Op{Kind: keyvalue.OpSet, Key: key, Value: value})
	return err
}

func (k keys) Delete(ctx context.Context, key string) error {
	_, err := k.Do(ctx, &keyvalue.Op{Kind: keyvalue.OpDelete, Key: key})
	return err
}

// entries is a cache.
type entries struct{ *cache.Store }

var _ kv.Target = entries{}

func (e entries) Get(ctx context.Context, key string) ([]byte, bool, error) {
	x, found, err := e.Store.Get(ctx, key)
	return x.Value, found, err
}

func (e entries) Set(ctx context.Context, key string, value []byte) error {
	_, err := e.Do(ctx, &cache.Op{Kind: cache.OpSet, Key: key, Value: value})
	return err
}

func (e entries) Delete(ctx context.Context, key string) error {
	_, err := e.Do(ctx, &cache.Op{Kind: cache.OpDelete, Key: key})
	return err
}
