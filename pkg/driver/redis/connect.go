package redis

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// silence keeps the library from writing to standard error; what goes wrong
// comes back as an error.
type silence struct{}

func (silence) Printf(context.Context, string, ...any) {}

// redirects is how often a call follows a slot to the node that has it, and how often it
// tries a node anew to which there was no connection.
const redirects = 3

// reloadEvery is how old the map of a cluster's slots may be that nothing went wrong with.
const reloadEvery = 10 * time.Second

// settings are those of every kind of client.
func (s *store) settings() (*redis.UniversalOptions, error) {
	if _, err := driver.ReadPassword(s.options.PasswordFile); err != nil {
		return nil, driver.UnusableOption(s.name, "password_file", err)
	}
	ofSentinels, err := driver.ReadPassword(s.options.Sentinel.PasswordFile)
	if err != nil {
		return nil, driver.UnusableOption(s.name, "sentinel.password_file", err)
	}
	secure, err := s.options.TLS.Config()
	if err != nil {
		return nil, driver.UnusableOption(s.name, "tls", err)
	}
	return &redis.UniversalOptions{
		Addrs: s.options.Addrs, DB: s.options.DB, TLSConfig: secure,
		CredentialsProviderContext: func(context.Context) (string, string, error) {
			password, err := driver.ReadPassword(s.options.PasswordFile)
			return s.options.Username, password, err
		},
		MasterName: s.options.Sentinel.Master, SentinelUsername: s.options.Sentinel.Username, SentinelPassword: ofSentinels,
		// Whether something is sent again is decided above.
		MaxRetries: -1, DialerRetries: 1, MaxRedirects: redirects, MaxRetryBackoff: 100 * time.Millisecond,
		DialTimeout: s.options.DialTimeout, ReadTimeout: s.options.Timeout, WriteTimeout: s.options.Timeout,
		ContextTimeoutEnabled: true,
		// One pool, whose bound is the one that was configured.
		PoolSize: s.options.PoolSize, PipelinePoolSize: -1,
		DisableIdentity:          true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}, nil
}

// connect makes the client of the mode that the options say, or that the server does.
func (s *store) connect(ctx context.Context) error {
	redis.SetLogger(silence{})
	o, err := s.settings()
	if err != nil {
		return err
	}
	switch s.mode = s.options.mode(); s.mode {
	case modeSentinel:
		s.node = redis.NewFailoverClient(o.Failover())
	case modeCluster:
		s.toCluster(o)
		return nil
	default:
		s.node = redis.NewClient(simple(o))
	}
	s.client = s.node
	if s.mode != modeAuto {
		return nil
	}
	enabled, err := clusterEnabled(ctx, s.node)
	switch err := s.classify(ctx, err); {
	case enabled:
		_ = s.node.Close()
		s.node = nil
		s.toCluster(o)
	case err == nil:
		s.mode = modeStandalone
	case errors.Is(err, prism.ReasonBackendUnavailable), errors.Is(err, prism.ReasonDeadlineExceeded):
		s.mode = modeStandalone
		s.unsure.Store(true)
	default:
		return errors.Join(err, s.node.Close())
	}
	return nil
}

func simple(o *redis.UniversalOptions) *redis.Options {
	one := o.Simple()
	if strings.HasPrefix(one.Addr, "/") {
		one.Network = "unix"
	}
	if one.TLSConfig != nil && one.TLSConfig.ServerName == "" {
		one.TLSConfig = one.TLSConfig.Clone()
		one.TLSConfig.ServerName, _, _ = strings.Cut(one.Addr, ":")
	}
	return one
}

// toCluster makes the client of a cluster.
func (s *store) toCluster(o *redis.UniversalOptions) {
	all := o.Cluster()
	all.ClusterStateReloadInterval = reloadEvery
	// Commands without a key go where we send them.
	all.DisableRoutingPolicies = true
	s.cluster = redis.NewClusterClient(all)
	s.cluster.AddHook(sentOnce{s.cluster})
	s.client = s.cluster
	s.mode = modeCluster
	s.spread = s.options.Placement != placementOneSlot
	s.slots = newSlots()
}

// clusterEnabled asks a server whether it is part of a cluster.
func clusterEnabled(ctx context.Context, c *redis.Client) (bool, error) {
	text, err := c.Info(ctx, "cluster").Result()
	return factsOf(text)["cluster_enabled"] == "1", err
}

// settle asks a server that did not answer when it was opened whether it is what it
// was taken for: one that is part of a cluster has its keys elsewhere.
func (s *store) settle(ctx context.Context) error {
	enabled, err := clusterEnabled(ctx, s.node)
	switch {
	case err != nil:
		return s.classify(ctx, err)
	case enabled:
		return prism.New(prism.ReasonFailedPrecond, "backend %q is part of a Redis Cluster, and did not answer when the gateway opened it: restart the gateway, or set mode: cluster in its options, which needs no answer", s.name).WithBackend(s.name)
	}
	s.unsure.Store(false)
	return nil
}

// masters calls f with each server that takes writes; on a cluster side by side, and
// the error is of one of them.
func (s *store) masters(ctx context.Context, f func(context.Context, *redis.Client) error) error {
	if s.cluster != nil {
		return s.cluster.ForEachMaster(ctx, f)
	}
	return f(ctx, s.node)
}

// sentOnce keeps the cluster's client from sending a command again when it cannot know
// whether it was done. What a node refused because the slot is another's (MOVED, ASK,
// READONLY) was not, and goes there.
type sentOnce struct{ cluster *redis.ClusterClient }

type once struct{ redis.Cmder }

func (once) NoRetry() bool { return true }

func (sentOnce) DialHook(next redis.DialHook) redis.DialHook { return next }

func (h sentOnce) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, once{cmd})
		h.look(ctx, err)
		return err
	}
}

func (h sentOnce) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		all := make([]redis.Cmder, len(cmds))
		for i, cmd := range cmds {
			all[i] = once{cmd}
		}
		err := next(ctx, all)
		h.look(ctx, err)
		return err
	}
}

// look has the map of the slots made anew when a node is gone, or says that one is.
func (h sentOnce) look(ctx context.Context, err error) {
	var reply redis.Error
	if err == nil || errors.As(err, &reply) && !strings.HasPrefix(err.Error(), "CLUSTERDOWN") {
		return
	}
	h.cluster.ReloadState(ctx)
}
