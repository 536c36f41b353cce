package manifest

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prism-data-layer/prism/pkg/config"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
)

// specOf is a file's namespace as the admin API takes it.
func specOf(n *config.Namespace) *adminv1.NamespaceSpec {
	s := &adminv1.NamespaceSpec{
		Name: n.Name, Model: n.Model, Backend: n.Backend, Description: n.Description,
		Needs: &adminv1.Needs{
			Durability: n.Needs.Durability, TtlMs: n.Needs.TTL.Milliseconds(),
			ReadRps: n.Needs.ReadRPS, WriteRps: n.Needs.WriteRPS, SizeBytes: int64(n.Needs.Size),
		},
		Limits: &adminv1.NamespaceLimits{
			RequestRps: n.Limits.RequestRPS, Burst: n.Limits.Burst, Receipts: n.Limits.Receipts,
			Queues: n.Limits.Queues, Partitions: n.Limits.Partitions, Groups: n.Limits.Groups,
			MessageBytes: int64(n.Limits.MessageBytes), BufferBytes: int64(n.Limits.BufferBytes),
		},
		Access:       &adminv1.Access{Owners: n.Access.Owners},
		DefaultTtlMs: n.DefaultTTL.Milliseconds(), MaxTtlMs: n.MaxTTL.Milliseconds(), RetentionMs: n.Retention.Milliseconds(),
		NoAutoCreate: !n.AutoCreate, DefaultKind: n.DefaultKind,
	}
	for _, c := range n.Access.Consumers {
		s.Access.Consumers = append(s.Access.Consumers, &adminv1.Grant{Principal: principal(c), Permissions: c.Permissions})
	}
	return s
}

func principal(c config.Consumer) string {
	kind, name := c.Subject()
	return kind + ":" + name
}

// What a namespace has that says nothing of it: the defaults of a file.
const (
	defaultDurability = "strong"
	defaultReceipts   = 1_000_000
)

// namespaceOf is a gateway's namespace as a file would say it; the backend is
// where its data is.
func namespaceOf(n *adminv1.Namespace) *config.Namespace {
	s := n.GetSpec()
	ms := func(n int64) time.Duration { return time.Duration(n) * time.Millisecond }
	out := &config.Namespace{
		Name: s.GetName(), Model: s.GetModel(), Backend: n.GetBoundBackend(), Description: s.GetDescription(),
		Needs: config.Needs{
			Durability: s.GetNeeds().GetDurability(), TTL: ms(s.GetNeeds().GetTtlMs()),
			ReadRPS: s.GetNeeds().GetReadRps(), WriteRPS: s.GetNeeds().GetWriteRps(), Size: config.Size(s.GetNeeds().GetSizeBytes()),
		},
		Limits: config.NamespaceLimits{
			RequestRPS: s.GetLimits().GetRequestRps(), Burst: s.GetLimits().GetBurst(), Receipts: s.GetLimits().GetReceipts(),
			Queues: s.GetLimits().GetQueues(), Partitions: s.GetLimits().GetPartitions(), Groups: s.GetLimits().GetGroups(),
			MessageBytes: config.Size(s.GetLimits().GetMessageBytes()), BufferBytes: config.Size(s.GetLimits().GetBufferBytes()),
		},
		DefaultTTL: ms(s.GetDefaultTtlMs()), MaxTTL: ms(s.GetMaxTtlMs()), Retention: ms(s.GetRetentionMs()),
		AutoCreate: !s.GetNoAutoCreate(), DefaultKind: s.GetDefaultKind(),
		Access: config.Access{Owners: s.GetAccess().GetOwners()},
	}
	if out.Needs.Durability == "" {
		out.Needs.Durability = defaultDurability
	}
	if out.Limits.Receipts == 0 {
		out.Limits.Receipts = defaultReceipts
	}
	for _, g := range s.GetAccess().GetConsumers() {
		c := config.Consumer{Permissions: g.GetPermissions()}
		switch kind, name, _ := strings.Cut(g.GetPrincipal(), ":"); kind {
		case "service":
			c.Service = name
		case "user":
			c.User = name
		case "group":
			c.Group = name
		default:
			c.Team = name
		}
		out.Access.Consumers = append(out.Access.Consumers, c)
	}
	return out
}

// backendOf is a gateway's backend as a file would say it.
func backendOf(b *adminv1.Backend) (*config.Backend, error) {
	options, err := config.WrittenOptions(b.GetOptions())
	return &config.Backend{Name: b.GetName(), Driver: b.GetDriver(), Options: options}, err
}

// A word is one thing that a file says: where, and what.
type word struct{ path, text string }

// wordsOf lists what an object says, without what is its default.
func wordsOf(o config.Object) []word {
	if o.Namespace != nil {
		return namespaceWords(o.Namespace)
	}
	list := []word{{"driver", o.Backend.Driver}}
	written := o.Backend.Options.Written()
	for _, key := range slices.Sorted(maps.Keys(written)) {
		list = append(list, word{"options." + key, written[key]})
	}
	return list
}

func namespaceWords(n *config.Namespace) (list []word) {
	say := func(path, text, without string) {
		if text != without {
			list = append(list, word{path, text})
		}
	}
	number := func(path string, n, without int64) {
		say(path, strconv.FormatInt(n, 10), strconv.FormatInt(without, 10))
	}
	length := func(path string, d time.Duration) {
		say(path, config.FormatDuration(d.Truncate(time.Millisecond)), config.FormatDuration(0)) // the API counts in them
	}
	size := func(path string, n config.Size) { say(path, n.String(), config.Size(0).String()) }
	say("model", n.Model, "")
	say("backend", n.Backend, "")
	say("description", quoted(n.Description), "")
	say("needs.durability", n.Needs.Durability, defaultDurability)
	length("needs.ttl", n.Needs.TTL)
	number("needs.read_rps", n.Needs.ReadRPS, 0)
	number("needs.write_rps", n.Needs.WriteRPS, 0)
	size("needs.size", n.Needs.Size)
	number("limits.request_rps", n.Limits.RequestRPS, 0)
	number("limits.burst", n.Limits.Burst, 0)
	number("limits.receipts", n.Limits.Receipts, defaultReceipts)
	number("limits.queues", n.Limits.Queues, 0)
	number("limits.partitions", n.Limits.Partitions, 0)
	number("limits.groups", n.Limits.Groups, 0)
	size("limits.message_bytes", n.Limits.MessageBytes)
	size("limits.buffer_bytes", n.Limits.BufferBytes)
	length("default_ttl", n.DefaultTTL)
	length("max_ttl", n.MaxTTL)
	say("auto_create", strconv.FormatBool(n.AutoCreate), "true")
	say("default_kind", n.DefaultKind, "")
	length("retention", n.Retention)
	say("access.owners", strings.Join(n.Access.Owners, ", "), "")
	for i, c := range n.Access.Consumers {
		path := "access.consumers." + principal(c)
		if slices.ContainsFunc(n.Access.Consumers[:i], func(o config.Consumer) bool { return principal(o) == principal(c) }) {
			path += fmt.Sprintf(" (%d)", i+1)
		}
		say(path, strings.Join(c.Permissions, ", "), "")
	}
	return list
}

// quoted shows where a text that is not plain begins and ends.
func quoted(s string) string {
	if strings.TrimSpace(s) != s || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' }) {
		return strconv.Quote(s)
	}
	return s
}

// compare lists the keys of a file that differ, and each difference as a line.
func compare(have, want []word) (keys, lines []string) {
	was, is := map[string]string{}, map[string]string{}
	var paths []string
	for _, w := range have {
		was[w.path] = w.text
		paths = append(paths, w.path)
	}
	for _, w := range want {
		is[w.path] = w.text
		if _, known := was[w.path]; !known {
			paths = append(paths, w.path)
		}
	}
	for _, path := range paths {
		before, had := was[path]
		after, has := is[path]
		if had == has && before == after {
			continue
		}
		if key, _, _ := strings.Cut(path, "."); !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
		if had {
			lines = append(lines, "- "+path+": "+before)
		}
		if has {
			lines = append(lines, "+ "+path+": "+after)
		}
	}
	return keys, lines
}
