package value

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// binary reports whether data is no text for people: not UTF-8, or full of
// control characters.
func binary(data []byte) bool {
	if len(data) == MaxBytes { // the last rune may be cut
		for i := 1; i < utf8.UTFMax && i < len(data); i++ {
			if utf8.RuneStart(data[len(data)-i]) {
				data = data[:len(data)-i]
				break
			}
		}
	}
	if !utf8.Valid(data) {
		return true
	}
	odd := 0
	for _, c := range data {
		if c < ' ' && c != '\n' && c != '\t' && c != '\r' || c == 0x7f {
			odd++
		}
	}
	return odd*10 > len(data)
}

// dump is bytes in rows of 16, or 8 where that is too wide.
func dump(data []byte, width int) []string {
	row := 16
	if width < 10+16*3+1+1+16 {
		row = 8
	}
	out := make([]string, 0, len(data)/row+1)
	for at := 0; at < len(data); at += row {
		part := data[at:min(at+row, len(data))]
		var b strings.Builder
		fmt.Fprintf(&b, "%08x ", at)
		for i := range row {
			if i == row/2 {
				b.WriteByte(' ')
			}
			if i < len(part) {
				fmt.Fprintf(&b, " %02x", part[i])
			} else {
				b.WriteString("   ")
			}
		}
		b.WriteString("  ")
		for _, c := range part {
			if c < ' ' || c >= 0x7f {
				c = '.'
			}
			b.WriteByte(c)
		}
		line := b.String()
		out = append(out, line[:min(len(line), width)])
	}
	return out
}
