package cache

import (
	"context"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/prism-data-layer/prism/tui/component/text"
	"github.com/prism-data-layer/prism/tui/component/toast"
	"github.com/prism-data-layer/prism/tui/keys"
	"github.com/prism-data-layer/prism/tui/page"
)

// The actions of the page.
const (
	actLook   keys.Action = "cache-look"
	actSet    keys.Action = "cache-set"
	actDelete keys.Action = "cache-delete"
	actTouch  keys.Action = "cache-touch"
)

// Keys is what keys do on the page.
func (m *Model) Keys() keys.Table {
	return append(keys.Table{
		{Action: actLook, Keys: []string{"f"}, Label: "look up", Help: "look a key up, and go on looking at it"},
		{Action: actSet, Keys: []string{"n"}, Label: "set", Help: "set a key", Changes: true},
		{Action: actDelete, Keys: []string{"x"}, Label: "delete", Help: "delete the key", Changes: true},
		{Action: actTouch, Keys: []string{"t"}, Label: "expire", Help: "give the key another time to live", Changes: true},
	}, m.Split.Keys()...)
}

// Do performs an action of Keys.
func (m *Model) Do(a keys.Action) tea.Cmd {
	row, ok := m.pane.Table.Selected()
	switch {
	case a == actLook:
		return page.Do(page.Form{
			Title: "Look a key up in " + text.Clean(m.namespace), Verb: "Look up",
			Fields:  []page.Field{{Name: "key", Label: "Key", Required: true}},
			Command: func(v map[string]string) string { return m.command("get " + text.Quote(v["key"])) },
			Do: func(_ context.Context, v map[string]string, _ func(string)) (string, error) {
				m.look(v["key"])
				return "", nil
			},
		})
	case a == actSet:
		return page.Do(m.set(row.ID))
	case a != actDelete && a != actTouch:
		return m.Split.Do(a)
	case !ok:
		return toast.Warn("there is no key here: f looks one up")
	case a == actTouch:
		return page.Do(m.touch(row.ID))
	}
	return page.Do(page.Ask{
		Title: "Delete " + text.Clean(row.ID) + "?", Verb: "Delete", Name: row.ID,
		Lines: []string{"The cache forgets the key, in namespace " + text.Clean(m.namespace) + "."},
		Job: page.Job{Command: m.command("delete " + text.Quote(row.ID)), Do: func(ctx context.Context, _ func(string)) (string, error) {
			return m.source.Change(ctx, Change{Kind: Delete, Namespace: m.namespace, Key: row.ID})
		}},
	})
}

func checkTTL(v map[string]string) map[string]string {
	if d, err := time.ParseDuration(v["ttl"]); v["ttl"] != "" && (err != nil || d < time.Millisecond) {
		return map[string]string{"ttl": "write it as 90s or 24h"}
	}
	return nil
}

func withTTL(words, ttl string) string {
	if ttl == "" {
		return words
	}
	return words + " --ttl " + text.Quote(ttl)
}

func (m *Model) set(key string) page.Form {
	return page.Form{
		Title: "Set a key", Verb: "Set", Check: checkTTL,
		Fields: []page.Field{
			{Name: "key", Label: "Key", Required: true, Value: key},
			{Name: "value", Label: "Value", Help: "as text; bytes and files: prismctl cache set"},
			{Name: "ttl", Label: "Lives for", Help: "such as 90s or 24h; empty: as the namespace says"},
		},
		Command: func(v map[string]string) string {
			return m.command(withTTL("set "+text.Quote(v["key"])+" "+text.Quote(v["value"]), v["ttl"]))
		},
		Do: func(ctx context.Context, v map[string]string, _ func(string)) (string, error) {
			ttl, _ := time.ParseDuration(v["ttl"])
			m.look(v["key"])
			return m.source.Change(ctx, Change{Kind: Set, Namespace: m.namespace, Key: v["key"], Value: []byte(v["value"]), TTL: ttl})
		},
	}
}

func (m *Model) touch(key string) page.Form {
	return page.Form{
		Title: "Expire " + text.Clean(key), Verb: "Expire", Check: checkTTL,
		Fields: []page.Field{{Name: "ttl", Label: "Lives for", Help: "from now, such as 90s; empty: as the namespace says"}},
		Command: func(v map[string]string) string {
			return m.command(withTTL("set "+text.Quote(key)+" VALUE", v["ttl"]))
		},
		Do: func(ctx context.Context, v map[string]string, _ func(string)) (string, error) {
			ttl, _ := time.ParseDuration(v["ttl"])
			return m.source.Change(ctx, Change{Kind: Touch, Namespace: m.namespace, Key: key, TTL: ttl})
		},
	}
}
