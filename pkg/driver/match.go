package driver

import (
	"slices"
	"strings"
)

// Match reports whether every clause holds.
func (f Filter) Match(attributes map[string]string) bool {
	for i := range f {
		value, there := attributes[f[i].Attribute]
		if !f[i].Holds(value, there) {
			return false
		}
	}
	return true
}

// Holds reports whether the clause holds for its attribute's value, if it has
// one.
func (c *FilterClause) Holds(value string, there bool) bool {
	switch c.Op {
	case FilterIn:
		return there && slices.Contains(c.Values, value)
	case FilterNotIn:
		return !there || !slices.Contains(c.Values, value)
	case FilterPrefix:
		return there && len(c.Values) == 1 && strings.HasPrefix(value, c.Values[0])
	case FilterExists:
		return there
	case FilterAbsent:
		return !there
	}
	return false
}

// MatchTopic reports whether a pattern covers a topic: the token * stands for
// one token, > at the end for one or more.
func MatchTopic(pattern, topic string) bool {
	for {
		p, patternRest, patternMore := strings.Cut(pattern, ".")
		if p == ">" && !patternMore {
			return topic != ""
		}
		t, topicRest, topicMore := strings.Cut(topic, ".")
		if p != t && (p != "*" || t == "") || patternMore != topicMore {
			return false
		}
		if !patternMore {
			return true
		}
		pattern, topic = patternRest, topicRest
	}
}
