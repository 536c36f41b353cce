package wire

import (
	"fmt"
	"strconv"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/prism-data-layer/prism/pkg/prism"
	optionsv1 "github.com/prism-data-layer/prism/proto/prism/options/v1"
)

// Bounds of the rules that are not in package prism.
const (
	MaxTextBytes   = 1024
	MaxCursorBytes = 4096
	MaxTTL         = 10 * 365 * 24 * time.Hour
	MaxTimeout     = time.Hour
	MaxDelay       = 365 * 24 * time.Hour
	MinLease       = time.Second
	MaxLease       = 12 * time.Hour
)

// Validate checks a whole message against the rules in its fields' options and
// names every wrong field at once. It reads descriptors, so it is for calls
// that are rare; the key-value road checks its few fields by hand, and one
// table of bad values drives both.
func Validate(m proto.Message) error {
	if err := Unreadable(m); err != nil {
		return err
	}
	e := prism.New(prism.ReasonInvalidArgument, "")
	validate(m.ProtoReflect(), "", e)
	if len(e.Fields) == 0 {
		return nil
	}
	e.Message = e.Fields[0].Field + " " + e.Fields[0].Message
	return e
}

func validate(m protoreflect.Message, path string, e *prism.Error) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		name := path + string(f.Name())
		if !m.Has(f) {
			if required(f) {
				e.WithField(name, "must be set")
				continue
			}
			if f.HasPresence() || f.IsList() || f.IsMap() {
				continue
			}
		}
		v := m.Get(f)
		switch {
		case f.IsMap():
			v.Map().Range(func(k protoreflect.MapKey, val protoreflect.Value) bool {
				if f.MapKey().Kind() == protoreflect.StringKind && !utf8.ValidString(k.String()) ||
					f.MapValue().Kind() == protoreflect.StringKind && !utf8.ValidString(val.String()) {
					e.WithField(name, "must be valid UTF-8")
					return false
				}
				return true
			})
			if text := violatesMap(RuleOf(f), v.Map()); text != "" {
				e.WithField(name, text)
			}
		case f.IsList():
			if RuleOf(f) == optionsv1.Rule_RULE_BATCH && v.List().Len() > prism.MaxBatchItems {
				e.WithField(name, "must have at most 1000 items")
				continue
			}
			for j := range v.List().Len() {
				checkOne(f, v.List().Get(j), name+"["+strconv.Itoa(j)+"]", e)
			}
		default:
			checkOne(f, v, name, e)
		}
	}
}

func checkOne(f protoreflect.FieldDescriptor, v protoreflect.Value, name string, e *prism.Error) {
	switch f.Kind() {
	case protoreflect.MessageKind:
		if RuleOf(f) == optionsv1.Rule_RULE_EVENTS {
			return
		}
		validate(v.Message(), name+".", e)
		return
	case protoreflect.EnumKind:
		if f.Enum().Values().ByNumber(v.Enum()) == nil {
			e.WithField(name, fmt.Sprintf("has no value %d", v.Enum()))
		}
		return
	case protoreflect.StringKind:
		if !utf8.ValidString(v.String()) {
			e.WithField(name, "must be valid UTF-8")
			return
		}
	}
	if text := violates(RuleOf(f), v); text != "" {
		e.WithField(name, text)
	}
}

// violates says what v should have been, or nothing. The empty string is for
// "required" to refuse, where it matters.
func violates(r optionsv1.Rule, v protoreflect.Value) string {
	switch r {
	case optionsv1.Rule_RULE_KEY, optionsv1.Rule_RULE_BOUND:
		if len(v.String()) > prism.MaxKeyBytes {
			return "must be at most 1024 bytes"
		}
	case optionsv1.Rule_RULE_VALUE:
		if len(v.Bytes()) > prism.MaxValueBytes {
			return "must be at most 1 MiB"
		}
	case optionsv1.Rule_RULE_IDEMPOTENCY_KEY:
		if len(v.String()) > prism.MaxIdempotencyKeyBytes {
			return "must be at most 128 bytes"
		}
	case optionsv1.Rule_RULE_VERSION:
		if v.Uint() == 0 {
			return "must be at least 1"
		}
	case optionsv1.Rule_RULE_NAME:
		if s := v.String(); s != "" && !prism.ValidName(s) {
			return "must match [a-z][a-z0-9-]{0,62}"
		}
	case optionsv1.Rule_RULE_TEXT:
		if len(v.String()) > MaxTextBytes {
			return "must be at most 1024 bytes"
		}
	case optionsv1.Rule_RULE_CURSOR, optionsv1.Rule_RULE_POSITION, optionsv1.Rule_RULE_TOKEN:
		if len(v.String()) > MaxCursorBytes {
			return "must be at most 4096 bytes"
		}
	case optionsv1.Rule_RULE_LIMIT:
		if v.Int() < 0 {
			return "must not be negative"
		}
	case optionsv1.Rule_RULE_TTL:
		if ms := v.Int(); ms < 1 || ms > MaxTTL.Milliseconds() {
			return "must be 1 ms to 10 years"
		}
	case optionsv1.Rule_RULE_TIMEOUT:
		if ms := v.Int(); ms < 0 || ms > MaxTimeout.Milliseconds() {
			return "must be 0 to 1 hour"
		}
	case optionsv1.Rule_RULE_DELAY:
		if ms := v.Int(); ms < 0 || ms > MaxDelay.Milliseconds() {
			return "must be 0 to 1 year"
		}
	case optionsv1.Rule_RULE_LEASE:
		if ms := v.Int(); ms < MinLease.Milliseconds() || ms > MaxLease.Milliseconds() {
			return "must be 1 second to 12 hours"
		}
	case optionsv1.Rule_RULE_TIME:
		if n := v.Int(); n < 0 || n > prism.MaxEventTime {
			return "must be 0 to " + strconv.FormatInt(prism.MaxEventTime, 10) + " (the end of 2261)"
		}
	case optionsv1.Rule_RULE_LABEL:
		if len(v.String()) > prism.MaxAttributeNameBytes {
			return "must be at most 128 bytes"
		}
	case optionsv1.Rule_RULE_PRIORITY:
		if n := v.Int(); n < 0 || n > 9 {
			return "must be 0 to 9"
		}
	case optionsv1.Rule_RULE_TOPIC:
		if s := v.String(); s != "" && !prism.ValidTopic(s) {
			return "must be 1 to 1024 bytes of tokens parted by dots, without spaces, control characters, * and >"
		}
	case optionsv1.Rule_RULE_PATTERN:
		if s := v.String(); s != "" && !prism.ValidPattern(s) {
			return "must be a topic in which a token may be *, and the last one >"
		}
	}
	return ""
}

// violatesMap is violates for a map.
func violatesMap(r optionsv1.Rule, m protoreflect.Map) (text string) {
	if r != optionsv1.Rule_RULE_ATTRIBUTES {
		return ""
	}
	if m.Len() > prism.MaxAttributes {
		return "must have at most 64 attributes"
	}
	m.Range(func(k protoreflect.MapKey, v protoreflect.Value) bool {
		if n := len(k.String()); n == 0 || n > prism.MaxAttributeNameBytes || len(v.String()) > prism.MaxAttributeBytes {
			text = "must have names of 1 to 128 bytes and values of at most 1024"
		}
		return text == ""
	})
	return text
}

// RuleOf is the rule of a field.
func RuleOf(f protoreflect.FieldDescriptor) optionsv1.Rule {
	return proto.GetExtension(f.Options(), optionsv1.E_Rule).(optionsv1.Rule)
}

func required(f protoreflect.FieldDescriptor) bool {
	return proto.GetExtension(f.Options(), optionsv1.E_Required).(bool)
}

// NeedsOf is the capability that setting the field asks for, if any.
func NeedsOf(f protoreflect.FieldDescriptor) string {
	return proto.GetExtension(f.Options(), optionsv1.E_Needs).(string)
}
