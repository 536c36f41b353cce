package clickhouse

import (
	"encoding/hex"
	"strconv"
	"strings"
)

// literal is a string of any bytes in a statement. Digits of a hexadecimal
// number cannot end a literal, so there is nothing to escape, on any version and
// over both protocols.
func literal(s string) string { return "unhex('" + hex.EncodeToString([]byte(s)) + "')" }

// literals is a list of them, as IN takes it.
func literals(values []string) string {
	var b strings.Builder
	b.WriteByte('(')
	for i, v := range values {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(literal(v))
	}
	b.WriteByte(')')
	return b.String()
}

// decimal is a finite number in a statement.
func decimal(f float64) string {
	return strconv.FormatFloat(f, 'f', -1, 64)
}

func integer[T ~int | ~int64 | ~uint64](n T) string {
	if n < 0 {
		return "toInt64('" + strconv.FormatInt(int64(n), 10) + "')"
	}
	return strconv.FormatUint(uint64(n), 10)
}

// quoted is a name of ours or of a configuration, which has been checked.
func quoted(name string) string {
	return "`" + strings.NewReplacer("\\", "\\\\", "`", "\\`").Replace(name) + "`"
}

// all joins conditions, of which every one must hold.
func all(conditions ...string) string { return "(" + strings.Join(conditions, " AND ") + ")" }

func anyOf(conditions ...string) string { return "(" + strings.Join(conditions, " OR ") + ")" }
