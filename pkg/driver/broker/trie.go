package broker

import (
	"slices"
	"strings"
)

// A node is a token of patterns; * and > are tokens like others, since no topic
// has them.
type node struct {
	here []*subscription // whose pattern ends here
	next map[string]*node
}

func (n *node) add(s *subscription) {
	for token := range strings.SplitSeq(s.pattern, ".") {
		child := n.next[token]
		if child == nil {
			if n.next == nil {
				n.next = map[string]*node{}
			}
			child = &node{}
			n.next[strings.Clone(token)] = child
		}
		n = child
	}
	n.here = append(n.here, s)
}

func (n *node) remove(s *subscription) { n.cut(s, s.pattern, true) }

// cut takes s away and reports whether nothing is left below n.
func (n *node) cut(s *subscription, rest string, more bool) (empty bool) {
	if !more {
		if i := slices.Index(n.here, s); i >= 0 {
			n.here = slices.Delete(n.here, i, i+1)
		}
		return len(n.here) == 0 && len(n.next) == 0
	}
	token, rest, more := strings.Cut(rest, ".")
	if child := n.next[token]; child != nil && child.cut(s, rest, more) {
		delete(n.next, token)
	}
	return len(n.here) == 0 && len(n.next) == 0
}

// match appends the subscriptions whose pattern covers topic.
func (n *node) match(topic string, out []*subscription) []*subscription {
	for more := true; more; {
		if n.next == nil {
			return out
		}
		var token string
		token, topic, more = strings.Cut(topic, ".")
		if all := n.next[">"]; all != nil {
			out = append(out, all.here...)
		}
		any, one := n.next["*"], n.next[token]
		if any != nil {
			if more {
				out = any.match(topic, out)
			} else {
				out = append(out, any.here...)
			}
		}
		if one == nil {
			return out
		}
		n = one
	}
	return append(out, n.here...)
}

func (n *node) each(f func(*subscription)) {
	for _, s := range n.here {
		f(s)
	}
	for _, child := range n.next {
		child.each(f)
	}
}
