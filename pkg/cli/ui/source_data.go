package ui

import (
	"context"
	"slices"

	"google.golang.org/grpc"

	"github.com/prism-data-layer/prism/pkg/cli"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
	"github.com/prism-data-layer/prism/tui/component/value"
	"github.com/prism-data-layer/prism/tui/page"
	"github.com/prism-data-layer/prism/tui/page/cache"
	"github.com/prism-data-layer/prism/tui/page/data"
	"github.com/prism-data-layer/prism/tui/page/keyvalue"
	"github.com/prism-data-layer/prism/tui/page/pubsub"
	"github.com/prism-data-layer/prism/tui/page/queues"
	"github.com/prism-data-layer/prism/tui/page/series"
)

// dataSource answers what namespaces hold.
type dataSource struct{ *source }

// dataPages are the list of namespaces, and a page for each model.
func dataPages(s *source) []page.Factory {
	d := dataSource{s}
	models := data.Models{
		"keyvalue":   keyvalue.Factory(keyvalueSource{d}),
		"cache":      cache.Factory(cacheSource{d}),
		"queue":      queues.Factory(queueSource{d}),
		"pubsub":     pubsub.Factory(pubsubSource{d}),
		"timeseries": series.Factory(seriesSource{d}),
	}
	list := data.Factory(d, models)
	list.Complete = d.names("")
	out := []page.Factory{list}
	for _, model := range []string{"keyvalue", "cache", "queue", "pubsub", "timeseries"} {
		f := models[model]
		f.Complete = d.names(model)
		out = append(out, f)
	}
	return out
}

// names completes the namespaces of a model; "": of all.
func (d dataSource) names(model string) func(context.Context) ([]string, error) {
	return func(ctx context.Context) ([]string, error) {
		all, err := d.Namespaces(ctx)
		var names []string
		for _, n := range all {
			if model == "" || n.Model == model {
				names = append(names, n.Name)
			}
		}
		return names, err
	}
}

// Namespaces lists all of them.
func (d dataSource) Namespaces(ctx context.Context) ([]data.Namespace, error) {
	d.reconnect(ctx)
	var list []data.Namespace
	_, err := cli.Pages(ctx, maxRows, func(ctx context.Context, cursor string, size int32) (int, string, error) {
		r, err := d.client.ListNamespaces(ctx, &adminv1.ListNamespacesRequest{Limit: size, Cursor: cursor})
		for _, n := range r.GetNamespaces() {
			u := n.GetUsage()
			list = append(list, data.Namespace{
				Name: n.GetSpec().GetName(), Model: n.GetSpec().GetModel(), Backend: n.GetBoundBackend(),
				State: cli.EnumWord(n.GetState().String(), "NAMESPACE_STATE_"),
				Keys:  u.GetKeys(), Bytes: u.GetSizeBytes(), Known: u != nil, Estimated: u.GetEstimated(),
			})
		}
		return len(r.GetNamespaces()), r.GetCursor(), err
	})
	if err != nil {
		return nil, d.explain(err)
	}
	return list, nil
}

// Model asks for one of them.
func (d dataSource) Model(ctx context.Context, namespace string) (string, error) {
	d.reconnect(ctx)
	r, err := d.client.GetNamespace(ctx, &adminv1.GetNamespaceRequest{Name: namespace})
	if err != nil {
		return "", d.explain(err)
	}
	return r.GetNamespace().GetSpec().GetModel(), nil
}

// enter makes a client of the data API.
func enter[C any](ctx context.Context, d dataSource, make func(grpc.ClientConnInterface) C) (c C, err error) {
	conn, err := d.dataConn(ctx)
	if err != nil {
		return c, err
	}
	if l, ok := conn.(link); ok {
		reconnect(ctx, l)
	}
	return make(conn), nil
}

// head is what is shown of a value.
func head(v []byte) []byte { return slices.Clone(v[:min(len(v), value.MaxBytes)]) }
