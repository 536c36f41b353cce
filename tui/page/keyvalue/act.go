package keyvalue

import (
	"context"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/prism-data-layer/prism/tui/component/pane"
	"github.com/prism-data-layer/prism/tui/component/text"
	"github.com/prism-data-layer/prism/tui/component/toast"
	"github.com/prism-data-layer/prism/tui/keys"
	"github.com/prism-data-layer/prism/tui/page"
)

// The actions of the page.
const (
	actPrefix keys.Action = "kv-prefix"
	actNew    keys.Action = "kv-new"
	actSet    keys.Action = "kv-set"
	actDelete keys.Action = "kv-delete"
	actExpire keys.Action = "kv-expire"
	actWatch  keys.Action = "kv-watch"
)

// Keys is what keys do on the page.
func (m *Model) Keys() keys.Table {
	return append(keys.Table{
		{Action: actPrefix, Keys: []string{"f"}, Label: "prefix", Help: "show the keys that begin with a prefix"},
		{Action: actWatch, Keys: []string{"w"}, Label: "watch", Help: "watch or stop watching changes"},
		{Action: actNew, Keys: []string{"n"}, Label: "new", Help: "set a new key", Changes: true},
		{Action: actSet, Keys: []string{"e", "enter"}, Label: "set", Help: "set another value of the key", Changes: true},
		{Action: actDelete, Keys: []string{"x"}, Label: "delete", Help: "delete the key", Changes: true},
		{Action: actExpire, Keys: []string{"t"}, Label: "expire", Help: "let the key expire after a time, or never", Changes: true},
	}, m.Split.Keys()...)
}

// Do performs an action of Keys.
func (m *Model) Do(a keys.Action) tea.Cmd {
	switch a {
	case actPrefix:
		return page.Do(m.askPrefix())
	case actNew:
		return page.Do(m.form("", ""))
	case actWatch:
		return m.toggle()
	case actSet, actDelete, actExpire:
		row, ok := m.keys.Table.Selected()
		if !ok {
			return toast.Warn("there is no key here")
		}
		switch a {
		case actSet:
			old := ""
			if c, ok := m.Value.Content(); ok && c.ID == row.ID && c.Size == int64(len(c.Data)) && text.Clean(string(c.Data)) == string(c.Data) {
				old = string(c.Data)
			}
			return page.Do(m.form(row.ID, old))
		case actDelete:
			return page.Do(m.remove(row.ID))
		}
		return page.Do(m.expire(row.ID))
	case keys.Refresh:
		cmd := m.Split.Do(a)
		m.aim()
		return cmd
	}
	return tea.Batch(m.Split.Do(a), m.fetch())
}

// toggle begins or ends watching.
func (m *Model) toggle() tea.Cmd {
	if m.on = !m.on; m.on {
		m.Stack.Panes = []*pane.Pane{m.keys, m.changes}
		return m.watch.Start()
	}
	m.watch.Close()
	m.Stack.Panes, m.Stack.Focus, m.Stack.Away = []*pane.Pane{m.keys}, 0, false
	return nil
}

func (m *Model) askPrefix() page.Form {
	return page.Form{
		Title: "Keys of " + text.Clean(m.namespace), Verb: "Show",
		Fields:  []page.Field{{Name: "prefix", Label: "Prefix", Help: "only keys that begin so; empty: all", Value: m.prefix()}},
		Command: func(v map[string]string) string { return m.command("scan --keys " + text.Quote(v["prefix"])) },
		Do: func(_ context.Context, v map[string]string, _ func(string)) (string, error) {
			m.ask.Set(Query{Namespace: m.namespace, Prefix: v["prefix"], Limit: pageSize})
			return "", nil
		},
	}
}

// form asks for the value of a key; "" is a new one.
func (m *Model) form(key, old string) page.Form {
	create := key == ""
	f := page.Form{Title: "Set " + text.Clean(key), Verb: "Set", Fields: []page.Field{
		{Name: "value", Label: "Value", Value: old, Help: "as text; bytes and files: prismctl kv set"},
		{Name: "ttl", Label: "Lives for", Help: "such as 90s or 24h; empty: for ever"},
	}}
	if create {
		f.Title = "Set a new key"
		f.Fields = append([]page.Field{{Name: "key", Label: "Key", Required: true, Value: m.prefix()}}, f.Fields...)
	}
	name := func(v map[string]string) string {
		if create {
			return v["key"]
		}
		return key
	}
	f.Check = func(v map[string]string) map[string]string { return checkTTL(v["ttl"], true) }
	f.Command = func(v map[string]string) string {
		words := "set " + text.Quote(name(v)) + " " + text.Quote(v["value"])
		if v["ttl"] != "" {
			words += " --ttl " + text.Quote(v["ttl"])
		}
		if create {
			words += " --create-only"
		}
		return m.command(words)
	}
	f.Do = func(ctx context.Context, v map[string]string, _ func(string)) (string, error) {
		ttl, _ := time.ParseDuration(v["ttl"])
		return m.source.Change(ctx, Change{Kind: Set, Namespace: m.namespace, Key: name(v), Value: []byte(v["value"]), TTL: ttl, Create: create})
	}
	return f
}

// checkTTL says what is wrong with a time to live.
func checkTTL(s string, optional bool) map[string]string {
	if s == "" && optional {
		return nil
	}
	if d, err := time.ParseDuration(s); err != nil || d < time.Millisecond {
		return map[string]string{"ttl": "write it as 90s or 24h"}
	}
	return nil
}

func (m *Model) remove(key string) page.Ask {
	return page.Ask{
		Title: "Delete " + text.Clean(key) + "?", Verb: "Delete", Name: key,
		Lines: []string{"The key and its value are lost, in namespace " + text.Clean(m.namespace) + "."},
		Job: page.Job{
			Command: m.command("delete " + text.Quote(key)),
			Do: func(ctx context.Context, _ func(string)) (string, error) {
				return m.source.Change(ctx, Change{Kind: Delete, Namespace: m.namespace, Key: key})
			},
		},
	}
}

func (m *Model) expire(key string) page.Form {
	return page.Form{
		Title: "Expire " + text.Clean(key), Verb: "Expire",
		Fields: []page.Field{{Name: "ttl", Label: "Lives for", Help: "from now, such as 90s or 24h; empty: for ever"}},
		Check:  func(v map[string]string) map[string]string { return checkTTL(v["ttl"], true) },
		Command: func(v map[string]string) string {
			if v["ttl"] == "" {
				return m.command("set " + text.Quote(key) + " VALUE")
			}
			return m.command("set " + text.Quote(key) + " VALUE --ttl " + text.Quote(v["ttl"]))
		},
		Do: func(ctx context.Context, v map[string]string, _ func(string)) (string, error) {
			ttl, _ := time.ParseDuration(v["ttl"])
			return m.source.Change(ctx, Change{Kind: Expire, Namespace: m.namespace, Key: key, TTL: ttl})
		},
	}
}
