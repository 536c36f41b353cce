// Package admin is the client of the gateway's admin API: the generated calls,
// with errors as prism errors.
package admin

import (
	"context"
	"crypto/tls"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/wire"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
	configv1 "github.com/prism-data-layer/prism/proto/prism/config/v1"
)

// A Client talks to the admin port of one gateway. It does not wait for a
// gateway that is not there: an operator wants to know.
type Client struct {
	adminv1.AdminServiceClient
	Config configv1.ConfigServiceClient
	conn   *grpc.ClientConn
}

// Options say how to reach the admin port.
type Options struct {
	APIKey string
	TLS    *tls.Config // nil: plain text, for loopback
	Extra  []grpc.DialOption
}

// Dial prepares a client; it connects on the first call.
func Dial(address string, o Options) (*Client, error) {
	creds := insecure.NewCredentials()
	if o.TLS != nil {
		creds = credentials.NewTLS(o.TLS)
	}
	opts := append([]grpc.DialOption{
		grpc.WithTransportCredentials(creds),
		grpc.WithDisableRetry(),
		grpc.WithDefaultCallOptions(grpc.ForceCodecV2(wire.Codec())),
		grpc.WithUnaryInterceptor(o.unary),
	}, o.Extra...)
	conn, err := grpc.NewClient(address, opts...)
	if err != nil {
		return nil, prism.New(prism.ReasonInvalidArgument, "cannot dial %q", address).WithCause(err)
	}
	return &Client{adminv1.NewAdminServiceClient(conn), configv1.NewConfigServiceClient(conn), conn}, nil
}

// Close ends the connection.
func (c *Client) Close() error { return c.conn.Close() }

// unary adds the credential and turns a status into a prism error.
func (o Options) unary(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	if o.APIKey != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, wire.Authorization, "Bearer "+o.APIKey)
	}
	if err := invoke(ctx, method, req, reply, cc, opts...); err != nil {
		return wire.FromStatus(err)
	}
	return nil
}
