package admin

import (
	"context"
	"strings"
	"time"

	"github.com/prism-data-layer/prism/pkg/control"
	"github.com/prism-data-layer/prism/pkg/prism"
	configv1 "github.com/prism-data-layer/prism/proto/prism/config/v1"
)

// Configs are the named client configurations: served here for operators, and
// by the gateway, behind its own road, for clients.
type Configs struct {
	configv1.UnimplementedConfigServiceServer
	control *control.Store
}

// NewConfigs returns the configurations of a control store.
func NewConfigs(c *control.Store) *Configs { return &Configs{control: c} }

// The words of the control store for the enums of the wire.
var (
	patterns = map[configv1.AccessPattern]string{
		configv1.AccessPattern_ACCESS_PATTERN_KEY_VALUE:      control.PatternKeyValue,
		configv1.AccessPattern_ACCESS_PATTERN_QUEUE:          control.PatternQueue,
		configv1.AccessPattern_ACCESS_PATTERN_PUBSUB:         control.PatternPubSub,
		configv1.AccessPattern_ACCESS_PATTERN_PAGED_READER:   control.PatternPagedReader,
		configv1.AccessPattern_ACCESS_PATTERN_TRANSACT_WRITE: control.PatternTransactWrite,
	}
	levels = map[configv1.ConsistencyLevel]string{
		configv1.ConsistencyLevel_CONSISTENCY_LEVEL_EVENTUAL:          control.LevelEventual,
		configv1.ConsistencyLevel_CONSISTENCY_LEVEL_STRONG:            control.LevelStrong,
		configv1.ConsistencyLevel_CONSISTENCY_LEVEL_BOUNDED_STALENESS: control.LevelBoundedStaleness,
	}
)

// keyFor is the enum of a word; the zero enum if there is none.
func keyFor[K comparable](words map[K]string, word string) (k K) {
	for key, w := range words {
		if w == word {
			return key
		}
	}
	return k
}

// ListConfigs lists the latest and all earlier versions.
func (c *Configs) ListConfigs(ctx context.Context, r *configv1.ListConfigsRequest) (*configv1.ListConfigsResponse, error) {
	list, err := c.control.Configs(ctx, patterns[r.Pattern], r.Namespace)
	if err != nil {
		return nil, err
	}
	resp := &configv1.ListConfigsResponse{}
	for _, found := range list {
		resp.Configs = append(resp.Configs, configOf(found))
	}
	return resp, nil
}

// GetConfig answers a version, or the latest.
func (c *Configs) GetConfig(ctx context.Context, r *configv1.GetConfigRequest) (*configv1.GetConfigResponse, error) {
	found, err := c.control.Config(ctx, r.Name, r.Version)
	if err != nil {
		return nil, err
	}
	return &configv1.GetConfigResponse{Config: configOf(found)}, nil
}

// Resolve finds "name" or "name@version".
func (c *Configs) Resolve(ctx context.Context, ref string) (*configv1.ClientConfig, error) {
	name, version, _ := strings.Cut(ref, "@")
	if !prism.ValidName(name) {
		return nil, prism.InvalidField("config_name", "must be NAME or NAME@VERSION")
	}
	found, err := c.control.Config(ctx, name, version)
	if err != nil {
		return nil, err
	}
	return configOf(found), nil
}

// RegisterConfig stores a configuration that is valid.
func (c *Configs) RegisterConfig(ctx context.Context, r *configv1.RegisterConfigRequest) (*configv1.RegisterConfigResponse, error) {
	if err := c.judge(ctx, r.Config).Err(); err != nil {
		return nil, err
	}
	stored, replaced, err := c.control.RegisterConfig(ctx, clientConfig(r.Config), r.Overwrite, caller(ctx).Name())
	if err != nil {
		return nil, err
	}
	return &configv1.RegisterConfigResponse{Config: configOf(stored), Replaced: replaced}, nil
}

// ValidateConfig answers everything that is wrong or doubtful at once.
func (c *Configs) ValidateConfig(ctx context.Context, r *configv1.ValidateConfigRequest) (*configv1.ValidateConfigResponse, error) {
	v := c.judge(ctx, r.Config)
	resp := &configv1.ValidateConfigResponse{Valid: len(v.Errors) == 0, Warnings: v.Warnings}
	for _, e := range v.Errors {
		resp.Errors = append(resp.Errors, e.Field+" "+e.Message)
	}
	return resp, nil
}

func (c *Configs) judge(ctx context.Context, config *configv1.ClientConfig) control.Verdict {
	return clientConfig(config).Check(func(namespace string) (string, bool) {
		n, err := c.control.Namespace(ctx, namespace)
		return n.Model, err == nil
	})
}

func clientConfig(c *configv1.ClientConfig) control.ClientConfig {
	return control.ClientConfig{
		Name: c.GetName(), Version: c.GetVersion(), Pattern: patterns[c.GetPattern()], Namespace: c.GetNamespace(),
		Backend: c.GetBackend().GetName(), Options: c.GetBackend().GetOptions(),
		Consistency: control.Consistency{
			Level: levels[c.GetConsistency().GetLevel()], Timeout: time.Duration(c.GetConsistency().GetTimeoutMs()) * time.Millisecond,
		},
		Cache: control.Cache{
			Enabled: c.GetCache().GetEnabled(), TTL: time.Duration(c.GetCache().GetTtlSeconds()) * time.Second, MaxSizeMB: c.GetCache().GetMaxSizeMb(),
		},
		RateLimit: control.RateLimit{RequestsPerSecond: c.GetRateLimit().GetRequestsPerSecond(), Burst: c.GetRateLimit().GetBurst()},
	}
}

func configOf(c control.ClientConfig) *configv1.ClientConfig {
	return &configv1.ClientConfig{
		Name: c.Name, Version: c.Version, Pattern: keyFor(patterns, c.Pattern), Namespace: c.Namespace,
		Backend: &configv1.BackendConfig{Name: c.Backend, Options: c.Options},
		Consistency: &configv1.ConsistencyConfig{
			Level: keyFor(levels, c.Consistency.Level), TimeoutMs: int32(c.Consistency.Timeout.Milliseconds()),
		},
		Cache: &configv1.CacheConfig{
			Enabled: c.Cache.Enabled, TtlSeconds: int32(c.Cache.TTL.Seconds()), MaxSizeMb: c.Cache.MaxSizeMB,
		},
		RateLimit: &configv1.RateLimitConfig{RequestsPerSecond: c.RateLimit.RequestsPerSecond, Burst: c.RateLimit.Burst},
	}
}
