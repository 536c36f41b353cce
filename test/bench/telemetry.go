package main

import (
	"context"
	"time"

	"github.com/prism-data-layer/prism/pkg/client"
	kvv1 "github.com/prism-data-layer/prism/proto/prism/keyvalue/v1"
)

const (
	rowTelemetryUnary = "telemetry on ÷ off, unary Get"
	rowTelemetrySDK   = "telemetry on ÷ off, SDK Get"
)

// benchTelemetry compares a gateway that notes its calls, keeps some and sends
// them to a collector that is not there, with one that does neither.
func benchTelemetry(ctx context.Context, b *bench) error {
	if !b.wants(rowTelemetryUnary, rowTelemetrySDK) {
		return nil
	}
	on, err := b.prismd(ctx, memoryConfig+"telemetry: {otlp: {endpoint: 'http://127.0.0.1:1'}}\n")
	if err != nil {
		return err
	}
	off, err := b.prismd(ctx, memoryConfig+"telemetry: {traces: {mode: off}, otlp: {mode: off}}\n")
	if err != nil {
		return err
	}
	if b.wants(rowTelemetryUnary) {
		s, err := b.alternate(ctx, unaryGet(on), unaryGet(off))
		if err != nil {
			return err
		}
		b.compare(rowTelemetryUnary, "calls/s", s[0], s[1], rate, ">=", 0.95)
		b.compare("telemetry on ÷ off, server CPU per unary Get", "µs", s[0], s[1], cpu, "<=", 1.05)
	}
	if b.wants(rowTelemetrySDK) {
		s, err := b.alternate(ctx, sdkGet(on), sdkGet(off))
		if err != nil {
			return err
		}
		b.compare(rowTelemetrySDK, "calls/s", s[0], s[1], rate, ">=", 0.95)
	}
	return nil
}

// unaryGet asks a gateway for keys by stock calls.
func unaryGet(p *process) side {
	return func(ctx context.Context, d time.Duration) (sample, error) {
		list, closeAll, err := stubs(p.data, connections, true)
		if err != nil {
			return sample{}, err
		}
		defer closeAll()
		if _, err := list[0].Set(ctx, &kvv1.SetRequest{Namespace: "mem", Key: key(0), Value: value}); err != nil {
			return sample{}, err
		}
		return loop(ctx, p, callers, d, func(ctx context.Context, caller int, _ uint32) error {
			_, err := list[caller%len(list)].Get(ctx, &kvv1.GetRequest{Namespace: "mem", Key: key(0)})
			return err
		})
	}
}

// sdkGet asks for them with the SDK, which puts calls together.
func sdkGet(p *process) side {
	return func(ctx context.Context, d time.Duration) (sample, error) {
		sdk, err := client.Dial(p.data)
		if err != nil {
			return sample{}, err
		}
		defer sdk.Close()
		kv := sdk.KeyValue("mem")
		if _, err := kv.Set(ctx, key(0), value); err != nil {
			return sample{}, err
		}
		return loop(ctx, p, callers, d, func(ctx context.Context, _ int, _ uint32) error {
			_, err := kv.Get(ctx, key(0))
			return err
		})
	}
}
