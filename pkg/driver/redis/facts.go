package redis

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// floor is the oldest server that has what the driver uses.
const floor = 7

// needsOnePlace are the capabilities that want a namespace's keys in one slot.
var needsOnePlace = []string{"keyvalue_transactional", "keyvalue_watch", "keyvalue_move"}

// notInOnePlace says why a cluster lacks them.
const notInOnePlace = "a namespace is spread over the cluster's slots, and several keys of it change neither at once nor in one order; with placement: one-slot it has them"

// lacking are they, each with the reason.
func lacking() map[string]string {
	why := make(map[string]string, len(needsOnePlace))
	for _, name := range needsOnePlace {
		why[name] = notInOnePlace
	}
	return why
}

// greet asks the servers who they are and what their acks are worth. One that does
// not answer is no reason for a gateway not to start: calls say so until it is
// there. What only a person can mend is.
func (s *store) greet(ctx context.Context) (driver.Info, error) {
	info := driver.Info{Driver: "redis", Durability: "not known: the server did not answer when the gateway opened it"}
	all, err := s.ask(ctx)
	switch {
	case errors.Is(err, prism.ReasonBackendUnavailable), errors.Is(err, prism.ReasonDeadlineExceeded):
		s.log.Warn("the server does not answer; calls fail until it does", "error", err)
		return info, nil
	case err != nil:
		return info, err
	}
	for _, server := range all {
		if major, _ := strconv.Atoi(before(server["redis_version"], ".")); major < floor {
			return info, prism.New(prism.ReasonFailedPrecond, "backend %q is Redis %s; this driver needs %d.0 or later: update the server", s.name, server["redis_version"], floor).WithBackend(s.name)
		}
		if s.cluster == nil && server["cluster_enabled"] == "1" {
			return info, prism.New(prism.ReasonFailedPrecond, "backend %q is part of a Redis Cluster: set mode: cluster in its options, or leave mode out", s.name).WithBackend(s.name)
		}
		if server["role"] == "slave" {
			s.log.Warn("the server is a replica and takes no writes", "master", server["master_host"]+":"+server["master_port"])
		}
	}
	info.Durability, info.Durable = s.durability(all)
	if err := s.loadScripts(ctx); err != nil {
		return info, s.classify(ctx, err)
	}
	return info, nil
}

func before(s, sep string) string {
	head, _, _ := strings.Cut(s, sep)
	return head
}

// A server's facts are what INFO tells, and the settings that it tells.
type facts map[string]string

func factsOf(text string) facts {
	f := facts{}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			f[name] = value
		}
	}
	return f
}

// ask reads the facts of every server that takes writes.
func (s *store) ask(ctx context.Context) ([]facts, error) {
	var mu sync.Mutex
	var all []facts
	err := s.masters(ctx, func(ctx context.Context, c *redis.Client) error {
		text, err := c.Info(ctx).Result()
		if err != nil {
			return err
		}
		f := factsOf(text)
		// A managed server may keep its settings to itself.
		if settings, err := c.ConfigGet(ctx, "append*").Result(); err == nil {
			f["appendfsync"] = settings["appendfsync"]
		}
		if settings, err := c.ConfigGet(ctx, "save").Result(); err == nil {
			f["save"], f["save_known"] = settings["save"], "1"
		}
		mu.Lock()
		defer mu.Unlock()
		all = append(all, f)
		return nil
	})
	return all, s.classify(ctx, err)
}

// An ack is what a server's settings make of one.
type ack struct {
	risk int // how much may be lost
	text string
}

// ackOf says in words what a server's settings make of an ack.
func ackOf(server facts) ack {
	switch {
	case server["aof_enabled"] == "1" && server["appendfsync"] == "always":
		return ack{0, "acked means fsynced to the server's append-only file (appendfsync always)"}
	case server["aof_enabled"] == "1" && server["appendfsync"] == "everysec":
		return ack{1, "acked means in the server's memory; its append-only file is fsynced about once a second (appendfsync everysec): a crash of the machine may take the last second or two"}
	case server["aof_enabled"] == "1" && server["appendfsync"] == "no":
		return ack{2, "acked means in the server's memory; its append-only file reaches the disk when the system likes (appendfsync no): a crash of the machine may take half a minute and more"}
	case server["aof_enabled"] == "1":
		return ack{3, "acked means in the server's memory; it keeps an append-only file, and does not tell how often that is fsynced"}
	case server["save"] != "":
		return ack{4, "acked means in the server's memory; it takes snapshots now and then (save " + server["save"] + "): a crash takes all that came after the last"}
	case server["save_known"] == "1":
		return ack{6, "acked means in the server's memory, which it writes nowhere: its restart loses everything"}
	}
	return ack{5, "acked means in the server's memory; it keeps no append-only file, and does not tell whether it takes snapshots"}
}

// durability says what an ack is worth: where servers differ, on the one that
// risks most.
func (s *store) durability(all []facts) (text string, durable bool) {
	var worst ack
	differ, followed := false, false
	var evicts string
	for i, server := range all {
		a := ackOf(server)
		differ = differ || i > 0 && a != worst
		if i == 0 || a.risk > worst.risk {
			worst = a
		}
		if n, _ := strconv.Atoi(server["connected_slaves"]); n > 0 {
			followed = true
		}
		if policy := server["maxmemory_policy"]; server["maxmemory"] != "0" && policy != "" && policy != "noeviction" {
			evicts = policy
		}
	}
	text, durable = worst.text, worst.risk == 0
	if differ {
		text += "; that is of the node that risks most, others keep more"
	}
	if evicts != "" {
		text += "; when its memory is full it drops data to make room (maxmemory-policy " + evicts + ")"
		durable = false
	}
	if s.mode == modeSentinel || s.cluster != nil && followed {
		text += "; replicas follow after the ack: a failover because a master is gone may take what its replica had not received"
		durable = false
	}
	return text, durable
}

// busyPool is the part of the pool that is in use when there is little left.
const busyPool = 0.9

// Health asks the servers and looks at the pool.
func (s *store) Health(ctx context.Context) driver.Health {
	if err := s.enter(ctx); err != nil {
		return driver.Health{State: driver.Unhealthy, Message: err.Error()}
	}
	defer s.leave()
	pool := s.client.PoolStats()
	used := int(pool.TotalConns) - int(pool.IdleConns)
	h := driver.Health{State: driver.Healthy, Facts: map[string]string{
		"pool_size": strconv.Itoa(s.options.PoolSize), "pool_in_use": strconv.Itoa(used),
		"pool_timeouts": strconv.FormatUint(uint64(pool.Timeouts), 10), "mode": s.mode,
	}}
	if err := s.masters(ctx, func(ctx context.Context, c *redis.Client) error { return c.Ping(ctx).Err() }); err != nil {
		h.State, h.Message = driver.Unhealthy, s.classify(ctx, err).Error()
		return h
	}
	if float64(used) >= busyPool*float64(s.options.PoolSize) {
		h.State, h.Message = driver.Degraded, "nearly all connections of the pool are in use"
	}
	if all, err := s.ask(ctx); err == nil { // it may be forbidden to ask
		s.tell(&h, all)
	}
	if s.cluster != nil {
		s.tellOfCluster(ctx, &h)
	}
	return h
}

// tell puts what servers say of themselves into an answer.
func (s *store) tell(h *driver.Health, all []facts) {
	slices.SortFunc(all, func(a, b facts) int { return strings.Compare(a["run_id"], b["run_id"]) })
	for fact, name := range map[string]string{
		"redis_version": "redis_version", "role": "role", "eviction": "maxmemory_policy", "aof_enabled": "aof_enabled", "appendfsync": "appendfsync",
	} {
		values := map[string]struct{}{}
		for _, server := range all {
			if v := server[name]; v != "" {
				values[v] = struct{}{}
			}
		}
		if len(values) > 0 {
			h.Facts[fact] = strings.Join(slices.Sorted(maps.Keys(values)), " ")
		}
	}
	for fact, name := range map[string]string{
		"memory_bytes": "used_memory", "memory_max_bytes": "maxmemory", "evicted_keys": "evicted_keys", "replicas": "connected_slaves",
	} {
		sum := int64(0)
		for _, server := range all {
			n, _ := strconv.ParseInt(server[name], 10, 64)
			sum += n
		}
		h.Facts[fact] = strconv.FormatInt(sum, 10)
	}
	h.Durability, h.Durable = s.durability(all)
	h.Facts["durability"] = h.Durability
	for _, server := range all {
		switch {
		case server["role"] == "slave":
			h.State, h.Message = driver.Degraded, "the server is a replica and takes no writes: name its master, "+server["master_host"]+":"+server["master_port"]+", in addrs"
		case server["aof_last_write_status"] == "err":
			h.State, h.Message = driver.Degraded, "the server cannot write its append-only file: see to its disk"
		}
	}
}

// tellOfCluster adds how a cluster is, and what a namespace on it lacks.
func (s *store) tellOfCluster(ctx context.Context, h *driver.Health) {
	h.Facts["placement"] = s.options.Placement
	if s.spread {
		h.Facts["lacks"] = strings.Join(needsOnePlace, ", ") + ": " + notInOnePlace
	}
	text, err := s.cluster.ClusterInfo(ctx).Result()
	if err != nil {
		return
	}
	f := factsOf(text)
	for fact, name := range map[string]string{"cluster_state": "cluster_state", "nodes": "cluster_known_nodes", "masters": "cluster_size"} {
		h.Facts[fact] = f[name]
	}
	if f["cluster_state"] != "ok" {
		h.State, h.Message = driver.Degraded, "the cluster does not serve all slots: redis-cli --cluster check "+s.options.Addrs[0]+" says which"
	}
}
