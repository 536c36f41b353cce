package queue

import (
	b64 "encoding/base64"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/prism-data-layer/prism/pkg/cli"
	queuev1 "github.com/prism-data-layer/prism/proto/prism/queue/v1"
)

// A message is what peek and subscribe show, of a work queue or a log.
type message struct {
	id, key    string
	payload    []byte
	attributes map[string]string
	attempts   int64
	published  int64 // milliseconds

	// Of a work queue.
	state, reason, lease string
	priority, due        int64 // due: milliseconds

	// Of a log.
	log               bool
	partition, offset int64
}

func ofLog(m message) bool   { return m.log }
func ofQueue(m message) bool { return !m.log }

func fromLog(m *queuev1.Message) message {
	return message{
		id: m.GetMessageId(), key: m.GetKey(), payload: m.GetPayload(), attributes: m.GetAttributes(), attempts: int64(m.GetAttempt()),
		published: m.GetTimeMs(), log: true, partition: int64(m.GetPartition()), offset: m.GetOffset(),
	}
}

func fromLeased(m *queuev1.LeasedMessage) message {
	return message{
		id: m.GetMessageId(), key: m.GetKey(), payload: m.GetPayload(), attributes: m.GetAttributes(), attempts: int64(m.GetAttempt()),
		published: m.GetPublishedMs(), lease: m.GetLease(), priority: int64(m.GetPriority()), due: m.GetLeaseUntilMs(),
	}
}

func fromPeeked(m *queuev1.PeekedMessage) message {
	return message{
		id: m.GetMessageId(), key: m.GetKey(), payload: m.GetPayload(), attributes: m.GetAttributes(), attempts: int64(m.GetAttempts()),
		published: m.GetPublishedMs(), state: stateName(m.GetState()), reason: m.GetReason(), priority: int64(m.GetPriority()), due: m.GetDueMs(),
	}
}

// Parts that both kinds of messages have.
var (
	idField   = cli.Text("message_id", "ID", "the message's id; of a log its partition and offset", func(m message) string { return m.id })
	textField = cli.Text("payload", "PAYLOAD", "the payload; null where it is not UTF-8", func(m message) string { return string(m.payload) }).
			Optional(func(m message) bool { return utf8.Valid(m.payload) })
	bytesField = cli.Text("payload_base64", "", "the payload, where it is not UTF-8", func(m message) string { return b64.StdEncoding.EncodeToString(m.payload) }).
			Optional(func(m message) bool { return !utf8.Valid(m.payload) })
	keyField        = cli.Text("key", "KEY", "messages with one key come in order", func(m message) string { return m.key })
	publishedField  = cli.Time("published_at", "PUBLISHED", "when it was published", func(m message) int64 { return m.published })
	priorityField   = cli.Int("priority", "PRIORITY", "the highest goes first", func(m message) int64 { return m.priority }).OnlyWide().Optional(ofQueue)
	attributesField = cli.Nested("attributes", "what was published with it", func(m message) any { return attributesOf(m.attributes) })
	partitionField  = cli.Int("partition", "PARTITION", "of a log: where it is", func(m message) int64 { return m.partition }).OnlyWide().Optional(ofLog)
	offsetField     = cli.Int("offset", "OFFSET", "of a log: its place there", func(m message) int64 { return m.offset }).OnlyWide().Optional(ofLog)
)

func peekedKind() cli.Kind[message] {
	return cli.Kind[message]{Name: "QueuedMessage", Fields: []cli.Field[message]{
		idField,
		cli.State("state", "STATE", "ready, delayed, leased or dead; null of a log", func(m message) string { return m.state }).Optional(ofQueue),
		textField,
		keyField,
		cli.Int("attempts", "ATTEMPTS", "deliveries so far; null of a log", func(m message) int64 { return m.attempts }).Optional(ofQueue),
		cli.Text("reason", "REASON", "why it is dead, or was last released", func(m message) string { return m.reason }),
		publishedField,
		cli.Time("due_at", "DUE", "when it becomes ready, or its lease ends", func(m message) int64 { return m.due }),
		bytesField, priorityField, attributesField, partitionField, offsetField,
	}}
}

func receivedKind() cli.Kind[message] {
	return cli.Kind[message]{Name: "ReceivedMessage", Fields: []cli.Field[message]{
		idField, textField, keyField,
		cli.Int("attempt", "ATTEMPT", "deliveries, this one included; null where a log is read without a group", func(m message) int64 { return m.attempts }).
			Optional(func(m message) bool { return m.attempts > 0 }),
		publishedField, bytesField, priorityField,
		cli.Time("lease_ends_at", "LEASE ENDS", "when it comes again, unless it is acknowledged", func(m message) int64 { return m.due }).OnlyWide(),
		attributesField,
		cli.Text("lease", "", "the token of the lease", func(m message) string { return m.lease }).Optional(ofQueue),
		partitionField, offsetField,
	}}
}

func stateName(s queuev1.MessageState) string {
	return strings.ToLower(strings.TrimPrefix(s.String(), "MESSAGE_STATE_"))
}

// attributesOf is a map as an object in the order of names.
func attributesOf(m map[string]string) any {
	o := cli.Object{}
	for _, name := range slices.Sorted(maps.Keys(m)) {
		o = append(o, cli.Member{Name: name, Value: m[name]})
	}
	return o
}
