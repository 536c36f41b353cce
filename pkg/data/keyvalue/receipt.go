package keyvalue

import (
	"github.com/prism-data-layer/prism/pkg/data"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// rpcNames scope a receipt: one name for each RPC, however it arrived.
var rpcNames = [...]string{
	OpSet: "Set", OpSetIf: "Set", OpDelete: "Delete", OpDeleteIf: "Delete",
	OpExpire: "Expire", OpPersist: "Persist", OpTouch: "Touch",
	OpIncrement: "Increment", OpAppend: "Append", OpSetIfAbsent: "SetIfAbsent", OpGetAndSet: "GetAndSet",
	OpCompareAndSwap: "CompareAndSwap", OpCompareAndDelete: "CompareAndDelete",
}

// Once makes op happen once: key is the caller's idempotency key, retry an id
// that a client made; key wins. Both empty ask for nothing.
func Once(op *Op, principal, key string, retry []byte) error {
	switch {
	case key == "" && len(retry) == 0, op.Kind.Reads():
		return nil
	case int(op.Kind) >= len(rpcNames):
		return prism.InvalidField("op", "must be set")
	}
	r, err := data.Receipt(principal, rpcNames[op.Kind], key, retry)
	if err != nil {
		return err
	}
	r.Body = bodyOf(op)
	op.Receipt = r
	return nil
}

// bodyOf hashes all that op asks for.
func bodyOf(op *Op) [16]byte {
	flags := uint64(op.Kind)
	if op.Options.KeepTTL {
		flags |= 1 << 8
	}
	if op.If.Absent {
		flags |= 1 << 9
	}
	return data.NewBody().Number(flags).Number(uint64(op.Delta)).Number(uint64(op.Options.TTL)).Number(op.If.Version).
		Bytes([]byte(op.Key)).Bytes(op.Value).Bytes(op.Expected).Sum()
}
