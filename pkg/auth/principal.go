package auth

import (
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prism-data-layer/prism/pkg/prism"
)

// Dev is the principal of every caller while authentication is off.
const Dev = "dev"

// A Principal is who is calling, proved by a credential. Only an
// [Authenticator] makes one. The zero value stands for nobody: it may do
// nothing, and every later stage refuses it.
//
// It is one pointer wide, safe for concurrent use and may be kept as long as a
// stream lasts; [Principal.Live] says whether the credential still holds.
type Principal struct{ id *identity }

// identity is what is known of a caller; all but ended never changes.
type identity struct {
	name    string
	keyID   string
	roles   []string
	actions actionSet
	lists   bool
	expires int64 // Unix milliseconds; 0: never
	ended   atomic.Bool
}

// Name says who it is: "dev", "service:checkout", "user:ann", "team:shop".
func (p Principal) Name() string {
	if p.id == nil {
		return ""
	}
	return p.id.name
}

// KeyID is the public id of the API key that proved it, empty without one.
func (p Principal) KeyID() string {
	if p.id == nil {
		return ""
	}
	return p.id.keyID
}

// Roles lists the admin roles, in order. The caller owns the slice.
func (p Principal) Roles() []string {
	if p.id == nil {
		return nil
	}
	return slices.Clone(p.id.roles)
}

// May reports whether p's roles allow an admin action. What a principal may do
// with the data of a namespace is not a matter of roles: package route decides
// that. Only dev, whose machine it is, may do all of both.
func (p Principal) May(a prism.Action) bool { return p.id != nil && p.id.actions.has(a) }

// MayListNamespaces reports whether p may learn which namespaces exist. To
// everyone else a namespace that is not there looks like one that is forbidden.
func (p Principal) MayListNamespaces() bool { return p.id != nil && p.id.lists }

// IsZero reports whether p is nobody.
func (p Principal) IsZero() bool { return p.id == nil }

// Expires is when the credential stops to hold; zero: never.
func (p Principal) Expires() time.Time {
	if p.id == nil || p.id.expires == 0 {
		return time.Time{}
	}
	return time.UnixMilli(p.id.expires)
}

// Live reports whether the credential still holds at now: neither expired nor,
// as far as the Authenticator has noticed, revoked. Long streams ask it.
func (p Principal) Live(now time.Time) bool {
	return p.id != nil && !p.id.ended.Load() && (p.id.expires == 0 || now.UnixMilli() < p.id.expires)
}

// String is the name, so that a Principal may be logged as it is.
func (p Principal) String() string { return p.Name() }

// The admin roles.
const (
	RoleAdmin    = "admin"
	RoleOperator = "operator"
	RoleViewer   = "viewer"
)

// actionSet is a bit for each prism.Action.
type actionSet uint16

func actions(list ...prism.Action) (s actionSet) {
	for _, a := range list {
		s |= 1 << a
	}
	return s
}

// has is false for ActionNone, whatever the set: an unmapped method is denied.
func (s actionSet) has(a prism.Action) bool {
	return a != prism.ActionNone && a < 16 && s&(1<<a) != 0
}

// roleActions is the table of roles. Reading the audit trail is the admin's
// alone: it tells who was refused what, and from where.
func roleActions(role string) (actionSet, bool) {
	switch role {
	case RoleAdmin:
		return actions(prism.ActionAdminRead, prism.ActionAdminWrite, prism.ActionAdminOperate, prism.ActionAdminAudit), true
	case RoleOperator:
		return actions(prism.ActionAdminRead, prism.ActionAdminOperate), true
	case RoleViewer:
		return actions(prism.ActionAdminRead), true
	}
	return 0, false
}

// ValidRole reports whether role is one of the table.
func ValidRole(role string) bool {
	_, ok := roleActions(role)
	return ok
}

// newIdentity gives a name the actions of its roles; an unknown role gives
// none.
func newIdentity(name, keyID string, roles []string, expires time.Time) *identity {
	id := &identity{name: name, keyID: keyID, roles: slices.Sorted(slices.Values(roles))}
	id.roles = slices.Compact(id.roles)
	for _, r := range id.roles {
		set, ok := roleActions(r)
		id.actions |= set
		id.lists = id.lists || ok
	}
	if !expires.IsZero() {
		id.expires = expires.UnixMilli()
	}
	return id
}

func newDev() *identity {
	return &identity{name: Dev, lists: true, actions: actions(
		prism.ActionRead, prism.ActionWrite,
		prism.ActionAdminRead, prism.ActionAdminWrite, prism.ActionAdminOperate, prism.ActionAdminAudit)}
}

// maxPrincipalBytes bounds a name: it stands in every log line and audit record.
const maxPrincipalBytes = 128

// ValidPrincipal reports whether s may be the name of a key's principal:
// KIND:NAME with a kind of user, service, team or group and a name of letters,
// digits and . _ - @ / +. There is no * in it, which is the wildcard of access
// rules, and "dev" is not one: nobody can be given a key for it.
func ValidPrincipal(s string) bool {
	kind, name, ok := strings.Cut(s, ":")
	if !ok || name == "" || len(s) > maxPrincipalBytes {
		return false
	}
	switch kind {
	case "user", "service", "team", "group":
	default:
		return false
	}
	for i := range len(name) {
		c := name[i]
		if !isBase62(c) && !strings.ContainsRune("._-@/+", rune(c)) {
			return false
		}
	}
	return true
}
