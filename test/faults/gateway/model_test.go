package faults_test

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

// A history is what clients asked and were answered, each call with its times.
// It is filled by one client at a time; histories of clients are joined.
type history struct {
	begun time.Time
	ops   []porcupine.Operation
}

// call records f, which returns its output. A call whose outcome is not known
// may have happened at any time after it was sent: it never returns. One that
// changes nothing then is left out.
func (h *history) call(client int, in any, changes bool, f func() (out any, known bool)) {
	op := porcupine.Operation{ClientId: client, Input: in, Call: int64(time.Since(h.begun))}
	out, known := f()
	switch op.Output, op.Return = out, int64(time.Since(h.begun)); {
	case known:
	case !changes:
		return
	default:
		op.Output, op.Return = nil, math.MaxInt64
	}
	h.ops = append(h.ops, op)
}

// A kvCall is a call on one of the two keys of a pair.
type kvCall struct {
	op              string // get, set, delete, cas, absent, swap, move
	pair, key       int
	expected, value string
}

// A kvAnswer is what it was answered.
type kvAnswer struct {
	value string // of a get, before a swap; empty: none
	ok    bool   // it was there, or it was applied
	both  [2]string
	blind bool // a move whose reads are not known
}

// pairs is two registers, which compare, and are written together by a move. A
// nil output is of a call whose answer was lost.
var pairs = porcupine.Model{
	Partition: func(h []porcupine.Operation) (parts [][]porcupine.Operation) {
		of := map[int]int{}
		for _, op := range h {
			pair := op.Input.(kvCall).pair
			i, ok := of[pair]
			if !ok {
				i = len(parts)
				of[pair], parts = i, append(parts, nil)
			}
			parts[i] = append(parts[i], op)
		}
		return parts
	},
	Init: func() any { return [2]string{} },
	Step: func(state, input, output any) (bool, any) {
		now, in := state.([2]string), input.(kvCall)
		out, known := output.(kvAnswer)
		was := now[in.key]
		say := func(ok bool) bool { return !known || ok }
		switch in.op {
		case "get":
			return say(out.value == was), now
		case "set":
			now[in.key] = in.value
			return true, now
		case "swap":
			now[in.key] = in.value
			return say(out.value == was), now
		case "delete":
			now[in.key] = ""
			return say(out.ok == (was != "")), now
		case "absent":
			if was == "" {
				now[in.key] = in.value
			}
			return say(out.ok == (was == "")), now
		case "cas":
			fits := was != "" && was == in.expected
			if fits {
				now[in.key] = in.value
			}
			return say(out.ok == fits), now
		case "move":
			if known && !out.ok { // another was faster
				return true, now
			}
			return say(out.blind || out.both == now), moved(in.value, now)
		}
		panic(in.op)
	},
	DescribeOperation: func(in, out any) string { return fmt.Sprintf("%+v → %+v", in, out) },
}

// moved is what a move writes: it depends on what it has read.
func moved(value string, read [2]string) [2]string {
	return [2]string{fmt.Sprintf("%sl%d", value, len(read[0])), fmt.Sprintf("%sr%d", value, len(read[1]))}
}

// A queueCall is a call on a work queue whose leases do not end by themselves.
type queueCall struct {
	op string // publish, receive, ack, release, peek
	id string // of the message, as the publisher calls it

	// Found by settled:
	place uint64          // of a published message
	taken map[string]bool // what receives without an answer may have taken
}

// A queueAnswer is what it was answered.
type queueAnswer struct {
	id      string // received; empty: none was ready
	place   uint64 // the gateway's number of a message that was published or received
	attempt int
	lost    bool     // the lease is no longer held
	left    []queued // peeked: the ready ones, then the leased ones
}

// A queued is a message of the model: in its place, ready or leased.
type queued struct {
	id       string
	place    uint64
	attempts int
	leased   bool
}

// A queueState is the messages of a queue, the oldest first.
type queueState struct {
	messages []queued
	last     uint64 // the number of the youngest
}

// settled makes a history, whose last call is a peek, quick to check. Numbers
// ascend in the order in which messages were published, so what is known of them
// leaves one order to try. A publish without an answer whose message nobody ever
// saw did not happen; a message that is leased at the end and that nobody got is
// what a receive without an answer has taken, and nothing else is.
func settled(h []porcupine.Operation) []porcupine.Operation {
	places, got := map[string]uint64{}, map[string]int{}
	for _, op := range h {
		out, _ := op.Output.(queueAnswer)
		switch op.Input.(queueCall).op {
		case "publish":
			places[op.Input.(queueCall).id] = max(places[op.Input.(queueCall).id], out.place)
		case "receive":
			places[out.id], got[out.id] = out.place, max(got[out.id], out.attempt)
		}
	}
	taken := map[string]bool{}
	for _, m := range h[len(h)-1].Output.(queueAnswer).left {
		places[m.id] = m.place
		if m.leased && got[m.id] < m.attempts {
			taken[m.id] = true
		}
	}
	var kept []porcupine.Operation
	for _, op := range h {
		in := op.Input.(queueCall)
		in.place, in.taken = places[in.id], taken
		if op.Input = in; in.op != "publish" || in.place != 0 {
			kept = append(kept, op)
		}
	}
	return kept
}

func rank(m queued) int {
	if m.leased {
		return 1
	}
	return 0
}

// orderly is a work queue: the oldest message that is ready goes first.
var orderly = porcupine.Model{
	Init: func() any { return queueState{} },
	Step: func(state, input, output any) (bool, any) {
		now, in := state.(queueState), input.(queueCall)
		list := slices.Clone(now.messages)
		out, known := output.(queueAnswer)
		at := slices.IndexFunc(list, func(m queued) bool { return m.id == in.id })
		held := at >= 0 && list[at].leased
		switch in.op {
		case "publish":
			return in.place == 0 || in.place > now.last, queueState{append(list, queued{id: in.id, place: in.place}), max(now.last, in.place)}
		case "receive":
			first := slices.IndexFunc(list, func(m queued) bool { return !m.leased })
			switch {
			case first < 0:
				return !known || out.id == "", now
			case !known && in.taken != nil && !in.taken[list[first].id]:
				return true, now
			}
			list[first].leased = true
			list[first].attempts++
			return !known || out.id == list[first].id && out.attempt == list[first].attempts, queueState{list, now.last}
		case "peek":
			slices.SortStableFunc(list, func(a, b queued) int { return cmp.Compare(rank(a), rank(b)) })
			return slices.Equal(list, out.left), now
		case "ack":
			if held {
				list = slices.Delete(list, at, at+1)
			}
			return !known || out.lost != held, queueState{list, now.last}
		case "release":
			if held {
				list[at].leased = false
			}
			return !known || out.lost != held, queueState{list, now.last}
		}
		panic(in.op)
	},
	Equal: func(a, b any) bool {
		x, y := a.(queueState), b.(queueState)
		return x.last == y.last && slices.Equal(x.messages, y.messages)
	},
	Hash: func(state any) uint64 {
		h := uint64(14695981039346656037) // FNV-1a
		for _, m := range state.(queueState).messages {
			h = (h ^ (m.place<<1 | uint64(rank(m)))) * 1099511628211
		}
		return h
	},
	DescribeOperation: func(in, out any) string { return fmt.Sprintf("%+v → %+v", in, out) },
}

// A check must not pass what cannot have been: histories that were written down
// to be broken, each beside one that is not.
func TestCheckerTellsBrokenHistoriesFromSoundOnes(t *testing.T) {
	op := func(call, ret int64, in, out any) porcupine.Operation {
		return porcupine.Operation{Call: call, Return: ret, Input: in, Output: out}
	}
	const never = math.MaxInt64
	for name, c := range map[string]struct {
		model porcupine.Model
		sound bool
		ops   []porcupine.Operation
	}{
		"a read after a write": {pairs, true, []porcupine.Operation{
			op(1, 2, kvCall{op: "set", value: "a"}, kvAnswer{}), op(3, 4, kvCall{op: "get"}, kvAnswer{value: "a"}),
		}},
		"a stale read": {pairs, false, []porcupine.Operation{
			op(1, 2, kvCall{op: "set", value: "a"}, kvAnswer{}), op(3, 4, kvCall{op: "set", value: "b"}, kvAnswer{}), op(5, 6, kvCall{op: "get"}, kvAnswer{value: "a"}),
		}},
		"a read beside a write": {pairs, true, []porcupine.Operation{
			op(1, 2, kvCall{op: "set", value: "a"}, kvAnswer{}), op(3, 9, kvCall{op: "set", value: "b"}, kvAnswer{}), op(5, 6, kvCall{op: "get"}, kvAnswer{value: "a"}),
		}},
		"an acked write is lost": {pairs, false, []porcupine.Operation{
			op(1, 2, kvCall{op: "set", value: "a"}, kvAnswer{}), op(3, 4, kvCall{op: "get"}, kvAnswer{}),
		}},
		"a write without an answer happened late": {pairs, true, []porcupine.Operation{
			op(1, never, kvCall{op: "set", value: "a"}, nil), op(3, 4, kvCall{op: "get"}, kvAnswer{}), op(5, 6, kvCall{op: "get"}, kvAnswer{value: "a"}),
		}},
		"a write without an answer came and went": {pairs, false, []porcupine.Operation{
			op(1, never, kvCall{op: "set", value: "a"}, nil), op(3, 4, kvCall{op: "get"}, kvAnswer{value: "a"}), op(5, 6, kvCall{op: "get"}, kvAnswer{}),
		}},
		"two swaps of one value": {pairs, false, []porcupine.Operation{
			op(1, 2, kvCall{op: "set", value: "a"}, kvAnswer{}),
			op(3, 6, kvCall{op: "cas", expected: "a", value: "b"}, kvAnswer{ok: true}), op(4, 5, kvCall{op: "cas", expected: "a", value: "c"}, kvAnswer{ok: true}),
		}},
		"half of a transaction": {pairs, false, []porcupine.Operation{
			op(1, 2, kvCall{op: "move", value: "a"}, kvAnswer{ok: true}), op(3, 4, kvCall{op: "get", key: 1}, kvAnswer{}),
		}},
		"a message for each of two": {orderly, true, []porcupine.Operation{
			op(1, 2, queueCall{op: "publish", id: "a"}, queueAnswer{}), op(1, 2, queueCall{op: "publish", id: "b"}, queueAnswer{}),
			op(3, 6, queueCall{op: "receive"}, queueAnswer{id: "b", attempt: 1}), op(3, 6, queueCall{op: "receive"}, queueAnswer{id: "a", attempt: 1}),
		}},
		"one message for two": {orderly, false, []porcupine.Operation{
			op(1, 2, queueCall{op: "publish", id: "a"}, queueAnswer{}),
			op(3, 6, queueCall{op: "receive"}, queueAnswer{id: "a", attempt: 1}), op(3, 6, queueCall{op: "receive"}, queueAnswer{id: "a", attempt: 2}),
		}},
		"the younger goes first": {orderly, false, []porcupine.Operation{
			op(1, 2, queueCall{op: "publish", id: "a"}, queueAnswer{}), op(3, 4, queueCall{op: "publish", id: "b"}, queueAnswer{}),
			op(5, 6, queueCall{op: "receive"}, queueAnswer{id: "b", attempt: 1}),
		}},
		"an acknowledged message comes again": {orderly, false, []porcupine.Operation{
			op(1, 2, queueCall{op: "publish", id: "a"}, queueAnswer{}), op(3, 4, queueCall{op: "receive"}, queueAnswer{id: "a", attempt: 1}),
			op(5, 6, queueCall{op: "ack", id: "a"}, queueAnswer{}), op(7, 8, queueCall{op: "receive"}, queueAnswer{id: "a", attempt: 2}),
		}},
		"a restart forgets an attempt": {orderly, false, []porcupine.Operation{
			op(1, 2, queueCall{op: "publish", id: "a"}, queueAnswer{}), op(3, 4, queueCall{op: "receive"}, queueAnswer{id: "a", attempt: 1}),
			op(5, 6, queueCall{op: "release", id: "a"}, queueAnswer{}), op(7, 8, queueCall{op: "receive"}, queueAnswer{id: "a", attempt: 1}),
		}},
		"an acked message is lost": {orderly, false, []porcupine.Operation{
			op(1, 2, queueCall{op: "publish", id: "a"}, queueAnswer{}), op(3, 4, queueCall{op: "receive"}, queueAnswer{}),
		}},
		"a receive without an answer took it": {orderly, true, []porcupine.Operation{
			op(1, 2, queueCall{op: "publish", id: "a"}, queueAnswer{}), op(3, never, queueCall{op: "receive"}, nil), op(5, 6, queueCall{op: "receive"}, queueAnswer{}),
		}},
	} {
		if got := porcupine.CheckOperations(c.model, c.ops); got != c.sound {
			var lines []string
			for _, o := range c.ops {
				lines = append(lines, fmt.Sprintf("%d–%d %s", o.Call, o.Return, c.model.DescribeOperation(o.Input, o.Output)))
			}
			t.Errorf("%s: sound is %v, want %v:\n%s", name, got, c.sound, strings.Join(lines, "\n"))
		}
	}
}
