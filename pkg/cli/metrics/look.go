package metrics

import (
	"cmp"
	"context"
	"slices"

	"github.com/prism-data-layer/prism/pkg/cli"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
)

// A look is all that the gateway had counted at a moment.
type look struct {
	status   *adminv1.GetStatusResponse
	stats    *adminv1.GetStatsResponse
	backends []*adminv1.Backend
}

func take(ctx context.Context, c client) (l look, err error) {
	if l.status, err = c.GetStatus(ctx, &adminv1.GetStatusRequest{}); err != nil {
		return l, err
	}
	list, err := c.ListBackends(ctx, &adminv1.ListBackendsRequest{})
	if err != nil {
		return l, err
	}
	l.backends = list.GetBackends()
	l.stats, err = c.GetStats(ctx, &adminv1.GetStatsRequest{})
	return l, err
}

// since is what happened between two looks; without the first, since the
// gateway started. One that was started anew meanwhile is told of from then.
func (l look) since(before *look) (gateway row, namespaces, backends []row) {
	from := l.status.GetStartedAtMs()
	was := look{stats: &adminv1.GetStatsResponse{}}
	if before != nil && before.status.GetStartedAtMs() == from {
		was, from = *before, before.stats.GetTimeMs()
	}
	seconds := float64(l.stats.GetTimeMs()-from) / 1000

	gateway = row{name: "gateway", state: cli.EnumWord(l.status.GetState(), ""), seconds: seconds}
	known := map[string]*adminv1.NamespaceStats{}
	for _, n := range was.stats.GetNamespaces() {
		known[n.GetNamespace()] = n
	}
	for _, n := range l.stats.GetNamespaces() {
		b := known[n.GetNamespace()]
		if b.GetReads() > n.GetReads() || b.GetWrites() > n.GetWrites() { // deleted and made anew
			b = nil
		}
		reads, writes := n.GetReads()-b.GetReads(), n.GetWrites()-b.GetWrites()
		namespaces = append(namespaces, row{
			name: "namespace/" + n.GetNamespace(), calls: reads + writes, errors: n.GetErrors() - b.GetErrors(), reads: reads, writes: writes,
			latency: minus(n.GetLatency(), b.GetLatency()), seconds: seconds, isNamespace: true,
		})
	}
	for _, n := range namespaces { // not of RPCs: one stream carries many requests
		gateway.calls += n.calls
		gateway.errors += n.errors
		gateway.latency.add(n.latency)
	}
	slices.SortStableFunc(namespaces, func(a, b row) int { return cmp.Compare(b.calls, a.calls) })
	return gateway, namespaces, l.stores(was.backends, seconds)
}

func (l look) stores(before []*adminv1.Backend, seconds float64) (list []row) {
	for _, b := range l.backends {
		var was *adminv1.Backend
		if i := slices.IndexFunc(before, func(x *adminv1.Backend) bool { return x.GetName() == b.GetName() && x.GetCalls() <= b.GetCalls() }); i >= 0 {
			was = before[i]
		}
		list = append(list, row{
			name: "backend/" + b.GetName(), state: cli.EnumWord(b.GetHealth().String(), "HEALTH_STATE_"), calls: b.GetCalls() - was.GetCalls(),
			errors: max(b.GetErrors()-was.GetErrors(), 0), p50: b.GetP50Us(), p99: b.GetP99Us(), measured: true, seconds: seconds,
		})
	}
	return list
}

// A histogram counts latencies: bucket i holds those of at most bound i, and the
// last those above all.
type histogram struct{ bounds, counts []int64 }

func minus(now, before *adminv1.LatencyHistogram) histogram {
	h := histogram{now.GetBoundsUs(), slices.Clone(now.GetCounts())}
	if slices.Equal(now.GetBoundsUs(), before.GetBoundsUs()) && len(before.GetCounts()) == len(h.counts) {
		for i, n := range before.GetCounts() {
			h.counts[i] -= n
		}
	}
	return h
}

func (h *histogram) add(o histogram) {
	switch {
	case h.bounds == nil:
		h.bounds, h.counts = o.bounds, slices.Clone(o.counts)
	case slices.Equal(h.bounds, o.bounds):
		for i, n := range o.counts {
			h.counts[i] += n
		}
	}
}

func (h histogram) total() (n int64) {
	for _, c := range h.counts {
		n += c
	}
	return n
}

// quantile estimates, in microseconds, what the share q stayed below, by
// interpolation inside a bucket; 0 without calls.
func (h histogram) quantile(q float64) int64 {
	rank := q * float64(h.total())
	if rank <= 0 || len(h.bounds) == 0 {
		return 0
	}
	var seen float64
	for i, c := range h.counts {
		if c == 0 || seen+float64(c) < rank {
			seen += float64(c)
			continue
		}
		if i >= len(h.bounds) {
			break
		}
		var low int64
		if i > 0 {
			low = h.bounds[i-1]
		}
		return low + int64(float64(h.bounds[i]-low)*(rank-seen)/float64(c))
	}
	return h.bounds[len(h.bounds)-1]
}
