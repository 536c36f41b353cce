package prism

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// ValidTopic reports whether s is a legal topic of pub/sub: valid UTF-8 of 1 to
// [MaxKeyBytes] bytes, tokens parted by dots, none of them empty, without
// spaces, control characters, * and >.
func ValidTopic(s string) bool { return validTokens(s) && !strings.ContainsAny(s, "*>") }

// ValidPattern reports whether s is a topic in which a token may be *, for any
// one, and the last one >, for one or more.
func ValidPattern(s string) bool {
	if !validTokens(s) {
		return false
	}
	for token, rest, more := strings.Cut(s, "."); ; token, rest, more = strings.Cut(rest, ".") {
		if strings.ContainsAny(token, "*>") && token != "*" && (token != ">" || more) {
			return false
		}
		if !more {
			return true
		}
	}
}

func validTokens(s string) bool {
	if s == "" || len(s) > MaxKeyBytes || !utf8.ValidString(s) ||
		s[0] == '.' || s[len(s)-1] == '.' || strings.Contains(s, "..") {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) })
}
