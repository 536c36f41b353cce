package iostreams

import "testing"

func TestAStructuredLogLineIsReadable(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		`{"time":"2026-11-28T03:15:17Z","level":"WARN","msg":"it is off","backend":"local","n":3,"err":"no space left"}`: `WARN it is off backend=local n=3 err="no space left"`,
		`{"level":"INFO","msg":"ready","a":{"b":[1,2]},"e":"","none":null}`:                                              `INFO ready a={"b":[1,2]} e="" none=null`,
		`{"msg":"only a message"}`:             `only a message`,
		`{"level":"INFO"}`:                     `{"level":"INFO"}`,
		`{"msg":"cut off","a":`:                `{"msg":"cut off","a":`,
		`{"msg":"two"} and more`:               `{"msg":"two"} and more`,
		`{not json`:                            `{not json`,
		`plain {"msg":"x"}`:                    `plain {"msg":"x"}`,
		``:                                     ``,
		`[1,2]`:                                `[1,2]`,
		`{"msg":"\u001b[2J is told","k":"v"} `: "\x1b[2J is told k=v",
	} {
		if got := LogLine(in); got != want {
			t.Errorf("%s\ngot  %q\nwant %q", in, got, want)
		}
	}
}
