package driver

import (
	"context"
	"time"

	"github.com/prism-data-layer/prism/pkg/prism"
)

// Mutations makes the mutations of all key-value capabilities out of one
// function that works off an [Op], whatever its kind; a driver embeds it.
type Mutations func(ctx context.Context, ns prism.Namespace, op Op) (Result, error)

func (do Mutations) Set(ctx context.Context, key prism.Key, value []byte, o SetOptions, r Receipt) (Result, error) {
	return do(ctx, key.Namespace, Op{Kind: OpSet, Key: key.Name, Value: value, Options: o, Receipt: r})
}

func (do Mutations) Delete(ctx context.Context, key prism.Key, r Receipt) (Result, error) {
	return do(ctx, key.Namespace, Op{Kind: OpDelete, Key: key.Name, Receipt: r})
}

func (do Mutations) SetIf(ctx context.Context, key prism.Key, value []byte, c Condition, o SetOptions, r Receipt) (Result, error) {
	return do(ctx, key.Namespace, Op{Kind: OpSetIf, Key: key.Name, Value: value, If: c, Options: o, Receipt: r})
}

func (do Mutations) DeleteIf(ctx context.Context, key prism.Key, c Condition, r Receipt) (Result, error) {
	return do(ctx, key.Namespace, Op{Kind: OpDeleteIf, Key: key.Name, If: c, Receipt: r})
}

func (do Mutations) Expire(ctx context.Context, key prism.Key, ttl time.Duration, r Receipt) (Result, error) {
	return do(ctx, key.Namespace, Op{Kind: OpExpire, Key: key.Name, Options: SetOptions{TTL: ttl}, Receipt: r})
}

func (do Mutations) Persist(ctx context.Context, key prism.Key, r Receipt) (Result, error) {
	return do(ctx, key.Namespace, Op{Kind: OpPersist, Key: key.Name, Receipt: r})
}

func (do Mutations) Touch(ctx context.Context, key prism.Key, r Receipt) (Result, error) {
	return do(ctx, key.Namespace, Op{Kind: OpTouch, Key: key.Name, Receipt: r})
}

func (do Mutations) Increment(ctx context.Context, key prism.Key, delta int64, r Receipt) (Result, error) {
	return do(ctx, key.Namespace, Op{Kind: OpIncrement, Key: key.Name, Delta: delta, Receipt: r})
}

func (do Mutations) Append(ctx context.Context, key prism.Key, value []byte, r Receipt) (Result, error) {
	return do(ctx, key.Namespace, Op{Kind: OpAppend, Key: key.Name, Value: value, Receipt: r})
}

func (do Mutations) SetIfAbsent(ctx context.Context, key prism.Key, value []byte, o SetOptions, r Receipt) (Result, error) {
	return do(ctx, key.Namespace, Op{Kind: OpSetIfAbsent, Key: key.Name, Value: value, Options: o, Receipt: r})
}

func (do Mutations) GetAndSet(ctx context.Context, key prism.Key, value []byte, o SetOptions, r Receipt) (Result, error) {
	return do(ctx, key.Namespace, Op{Kind: OpGetAndSet, Key: key.Name, Value: value, Options: o, Receipt: r})
}

func (do Mutations) CompareAndSwap(ctx context.Context, key prism.Key, expected, value []byte, o SetOptions, r Receipt) (Result, error) {
	return do(ctx, key.Namespace, Op{Kind: OpCompareAndSwap, Key: key.Name, Expected: expected, Value: value, Options: o, Receipt: r})
}

func (do Mutations) CompareAndDelete(ctx context.Context, key prism.Key, expected []byte, r Receipt) (Result, error) {
	return do(ctx, key.Namespace, Op{Kind: OpCompareAndDelete, Key: key.Name, Expected: expected, Receipt: r})
}
