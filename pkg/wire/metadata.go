package wire

import (
	"context"

	"google.golang.org/grpc/metadata"
)

// An arrival is the context of a call as the transport hands it over, with the
// metadata that came. gRPC's own look-up copies what it finds, and searches twice
// for what is not there.
type arrival struct {
	context.Context
	md metadata.MD
}

type arrivalKey struct{}

func (a *arrival) Value(key any) any {
	if key == (arrivalKey{}) {
		return a
	}
	return a.Context.Value(key)
}

// Arrive keeps the metadata of a call at hand. Its names are lower case, and
// nobody writes to it.
func Arrive(ctx context.Context, md metadata.MD) context.Context { return &arrival{ctx, md} }

// Metadata is what a caller sent beside its request.
type Metadata struct {
	arrived *arrival        // nil: ask gRPC
	ctx     context.Context // of the call
}

// MetadataOf finds the metadata of a call.
func MetadataOf(ctx context.Context) Metadata {
	a, _ := ctx.Value(arrivalKey{}).(*arrival)
	return Metadata{a, ctx}
}

// First is the first value of a name, which is lower case; empty without one.
func (m Metadata) First(name string) string {
	var values []string
	if m.arrived != nil {
		values = m.arrived.md[name]
	} else {
		values = metadata.ValueFromIncomingContext(m.ctx, name)
	}
	if len(values) == 0 {
		return ""
	}
	return values[0]
}
