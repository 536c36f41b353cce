package cli

import (
	"github.com/prism-data-layer/prism/pkg/client"
)

// SDK is the client that applications use, for commands that send much: it goes
// on after a restart of the gateway. It connects on the first call, and is
// closed by the caller.
func (f *Factory) SDK(opts ...client.Option) (*client.Client, error) {
	t, err := f.Target()
	if err != nil {
		return nil, err
	}
	cfg, err := t.TLSConfig(t.Data)
	if err != nil {
		return nil, err
	}
	if cfg != nil {
		opts = append(opts, client.WithTLS(cfg))
	}
	if t.Token != "" {
		opts = append(opts, client.WithAPIKey(t.Token))
	}
	if f.Tracing != nil {
		opts = append(opts, client.WithTracerProvider(f.Tracing))
	}
	c, err := client.Dial(t.Data, opts...)
	if err != nil {
		return nil, WithFix(err, "write the address as HOST:PORT")
	}
	return c, nil
}
