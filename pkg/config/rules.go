package config

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/prism-data-layer/prism/pkg/prism"
)

const namePattern = `^[a-z][a-z0-9-]{0,62}$`

// rules are the words of a check tag that judge one text. The others are
// required (the key must be there), min and max (numbers, sizes, durations),
// and nosecret (a list or mapping that needs no look at its keys).
var rules = map[string]func(text string) *fault{
	"name":      checkName,
	"endpoint":  checkEndpoint,
	"subject":   checkSubject,
	"glob":      checkGlob,
	"inside":    checkInside,
	"version":   checkVersion,
	"collector": checkCollector,
}

// checkName holds for whatever becomes part of a path, a label or a metric.
func checkName(s string) *fault {
	if prism.ValidName(s) {
		return nil
	}
	return &fault{
		message:    fmt.Sprintf("%q is not a name: it must match [a-z][a-z0-9-]{0,62}", s),
		suggestion: nearestName(s), hint: "use small letters, digits and dashes, and begin with a letter", doc: "names",
	}
}

// nearestName keeps what is legal of s.
func nearestName(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '-':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		case r == '_', r == ' ', r == '.', r == '/':
			return '-'
		}
		return -1
	}, s)
	s = strings.Trim(strings.TrimLeft(s, "0123456789-"), "-")
	if s = s[:min(len(s), prism.MaxNameBytes)]; prism.ValidName(s) {
		return s
	}
	return ""
}

var versionPattern = regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z.+-]{0,62}$`)

func checkVersion(s string) *fault {
	if versionPattern.MatchString(s) {
		return nil
	}
	return &fault{message: fmt.Sprintf("%q is not a version", s), hint: "use letters, digits, dots and dashes, such as 1.0"}
}

var subjectKinds = []string{"group", "service", "team", "user"}

// checkSubject holds for team:shop, user:ann and service:checkout.
func checkSubject(s string) *fault {
	kind, name, ok := strings.Cut(s, ":")
	if !ok || name == "" {
		return &fault{message: fmt.Sprintf("%q does not say whether it is a team, a user, a group or a service", s), suggestion: "team:" + strings.Trim(s, ":"), doc: "access"}
	}
	for _, k := range subjectKinds {
		if k == kind {
			return checkGlob(name)
		}
	}
	f := &fault{message: fmt.Sprintf("%q is none of service, team, user and group", kind), doc: "access"}
	if k := Nearest(kind, subjectKinds); k != "" {
		f.suggestion = k + ":" + name
	}
	return f
}

var globPattern = regexp.MustCompile(`^[A-Za-z0-9_.@:/*+-]{1,253}$`)

// checkGlob holds for the name of a principal, or a pattern of names with *.
func checkGlob(s string) *fault {
	if globPattern.MatchString(s) {
		return nil
	}
	return &fault{message: fmt.Sprintf("%q is not a name or a pattern such as checkout.*", s), doc: "access", hint: "use letters, digits and . _ - @ : / + and the star"}
}

// checkInside holds for a path that stays in its folder when it is relative.
func checkInside(s string) *fault {
	switch {
	case s == "":
		return &fault{message: "the path is empty", hint: "name a folder", doc: "paths"}
	case strings.ContainsRune(s, 0):
		return &fault{message: "the path holds a NUL", doc: "paths"}
	case filepath.IsAbs(s) || filepath.IsLocal(s):
		return nil
	}
	return &fault{message: fmt.Sprintf("the path %q leads out of the folder of the file", s), hint: "write an absolute path if that is meant", doc: "paths"}
}

// checkRange holds a number, a size in bytes or a duration against the min and
// max of its field, which are written in the file's own units.
func checkRange(f field, value int64, read func(string) (int64, bool)) *fault {
	low, hasLow := f.arg("min")
	high, hasHigh := f.arg("max")
	if n, ok := read(low); hasLow && ok && value < n {
		return &fault{message: "must be at least " + low, suggestion: low}
	}
	if n, ok := read(high); hasHigh && ok && value > n {
		return &fault{message: "must be at most " + high, suggestion: high}
	}
	return nil
}

func readInt(s string) (int64, bool) {
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil
}

func readDuration(s string) (int64, bool) {
	d, err := ParseDuration(s)
	return int64(d), err == nil
}

func readSize(s string) (int64, bool) {
	n, err := ParseSize(s)
	return int64(n), err == nil
}
