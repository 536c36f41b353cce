package checkup

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestASecretIsTakenOutInEveryFormInWhichItIsWritten(t *testing.T) {
	t.Parallel()
	const canary = `Ca"n/a ry+42\ö`
	state := t.TempDir()
	dir := filepath.Join(state, "stacks", "redis")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "password.secret"), []byte(canary+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := NewRedactor(state, filepath.Join(t.TempDir(), "none"))
	if err != nil {
		t.Fatal(err)
	}
	quoted, _ := json.Marshal(canary)
	for _, form := range []string{canary, string(quoted), url.QueryEscape(canary), url.PathEscape(canary), base64.StdEncoding.EncodeToString([]byte(canary))} {
		got := string(r.Clean([]byte("before " + form + " after")))
		if strings.Contains(got, strings.Trim(form, `"`)) || !strings.HasPrefix(got, "before ") || !strings.HasSuffix(got, " after") {
			t.Errorf("%s: got %s", form, got)
		}
	}
}

func TestWhatLooksSecretIsTakenOutAndFilesAreNot(t *testing.T) {
	t.Parallel()
	r := &Redactor{}
	for text, want := range map[string]string{
		"password: hunter22":                             "password: [removed]",
		`{"api_key":"abc123","name":"x"}`:                `{"api_key":"[removed]","name":"x"}`,
		`{"text":"{\"token\":\"abc\",\"n\":1}"}`:         `{"text":"{\"token\":\"[removed]\",\"n\":1}"}`,
		"DB_PASSWORD=hunter22 next":                      "DB_PASSWORD=[removed] next",
		"Authorization: Bearer abcdefgh.ijk":             "Authorization: Bearer [removed]",
		"postgres://ann:hunter22@db:5432/x":              "postgres://ann:[removed]@db:5432/x",
		"password_file: /run/secrets/password":           "password_file: /run/secrets/password",
		"eyJhbGciOiJSUzI1.eyJzdWIiOiJhbm4i.c2lnbmF0dXJl": "[removed]",
		"nothing to see":                                 "nothing to see",
	} {
		if got := string(r.Clean([]byte(text))); got != want {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
}
