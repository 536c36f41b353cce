package route

import (
	"strings"

	"github.com/prism-data-layer/prism/pkg/auth"
	"github.com/prism-data-layer/prism/pkg/control"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// rules are the access rules of a namespace. What they do not grant is denied.
type rules struct {
	owners    []string
	consumers []grant
}

type grant struct {
	pattern     string
	read, write bool
}

func rulesOf(a control.Access) rules {
	r := rules{owners: a.Owners}
	for _, c := range a.Consumers {
		g := grant{pattern: c.Principal}
		for _, p := range c.Permissions {
			switch p {
			case "read":
				g.read = true
			case "write":
				g.write = true
			}
		}
		r.consumers = append(r.consumers, g)
	}
	return r
}

// allow reports whether who may do action. Owners and the admin role may do
// everything with the data.
func (r *rules) allow(who auth.Principal, action prism.Action) bool {
	if who.IsZero() || action != prism.ActionRead && action != prism.ActionWrite {
		return false
	}
	if who.May(action) || who.May(prism.ActionAdminWrite) {
		return true
	}
	name := who.Name()
	for _, o := range r.owners {
		if matches(o, name) {
			return true
		}
	}
	for i := range r.consumers {
		g := &r.consumers[i]
		if (action == prism.ActionRead && g.read || action == prism.ActionWrite && g.write) && matches(g.pattern, name) {
			return true
		}
	}
	return false
}

// matches compares a name with a pattern in which * stands for any run of
// characters. The kind, before the colon, must be the same.
func matches(pattern, name string) bool {
	if !strings.Contains(pattern, "*") {
		return pattern == name
	}
	kind, _, _ := strings.Cut(pattern, ":")
	if strings.Contains(kind, "*") {
		return false
	}
	parts := strings.Split(pattern, "*")
	if !strings.HasPrefix(name, parts[0]) {
		return false
	}
	name = name[len(parts[0]):]
	last := parts[len(parts)-1]
	for _, p := range parts[1 : len(parts)-1] {
		i := strings.Index(name, p)
		if i < 0 {
			return false
		}
		name = name[i+len(p):]
	}
	return strings.HasSuffix(name, last)
}
