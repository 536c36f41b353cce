package nats

import (
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"strconv"
	"strings"

	"github.com/prism-data-layer/prism/pkg/prism"
)

// Subjects. NS is a namespace as one token, EPOCH that of its log:
//
//	PREFIX.live.NS.TOPIC       what subscriptions hear
//	PREFIX.log.NS.EPOCH.TOPIC  what the log's stream takes in and, once it is
//	                           kept, gives out on the first
//	PREFIX.name.NS.NAME        readers of a durable subscription, to each other
//
// A topic has no space, no control character, no empty token, and * and > only
// in patterns, where they mean what they mean to NATS: it is a subject as it is.

// plain namespaces are readable to who looks at the server; the token begins
// with n, and that of others, a hash, with h.
var plain = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

func token(ns prism.Namespace) string {
	if plain.MatchString(string(ns)) {
		return "n-" + string(ns)
	}
	sum := sha256.Sum256([]byte(ns))
	return "h-" + hex.EncodeToString(sum[:])
}

func (s *store) liveSubject(ns prism.Namespace, pattern string) string {
	return s.options.Prefix + ".live." + token(ns) + "." + pattern
}

func (s *store) logSubject(ns prism.Namespace, epoch uint64, pattern string) string {
	return s.options.Prefix + ".log." + token(ns) + "." + strconv.FormatUint(epoch, 36) + "." + pattern
}

func (s *store) nameSubject(ns prism.Namespace, name string) string {
	return s.options.Prefix + ".name." + token(ns) + "." + nameKey(name)
}

// epochOf reads the epoch out of the subject that a log's stream takes in.
func epochOf(subjects []string) (uint64, error) {
	if len(subjects) != 1 {
		return 0, errRecord
	}
	parts := strings.Split(subjects[0], ".")
	if len(parts) != 5 {
		return 0, errRecord
	}
	epoch, err := strconv.ParseUint(parts[3], 36, 64)
	if err != nil {
		return 0, errRecord
	}
	return epoch, nil
}

// topicOf cuts off what stands before the topic.
func topicOf(subject string, tokens int) string {
	for range tokens {
		_, subject, _ = strings.Cut(subject, ".")
	}
	return subject
}

const (
	liveTokens = 3
	logTokens  = 4
)

func (s *store) streamName(ns prism.Namespace) string { return s.options.Prefix + "_log_" + token(ns) }

func (s *store) bucketName(ns prism.Namespace) string {
	return s.options.Prefix + "_names_" + token(ns)
}

func nameKey(name string) string { return "n-" + hex.EncodeToString([]byte(name)) }

func (s *store) queueName(group string) string { return "g-" + hex.EncodeToString([]byte(group)) }
