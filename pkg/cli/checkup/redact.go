package checkup

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// hidden stands where a secret was.
const hidden = "[removed]"

// A Redactor takes secrets out of text: those that the project's own files and
// the environment hold, in each form in which they are written down, and what
// looks like one.
type Redactor struct {
	secrets [][]byte // longest first
	n       int
}

// shortest is how long a secret must be to be looked for: a shorter one is in
// any text.
const shortest = 6

// secretName is in the names of variables, keys and files that hold secrets.
var secretName = regexp.MustCompile(`(?i)(pass(word|wd)?|secret|token|credential|api_?key|private_?key|admin\.key)`)

// looksSecret finds what is written behind such a name, and tokens that are
// known by their form.
var looksSecret = []*regexp.Regexp{
	regexp.MustCompile(`(?i)("?[\w.-]*(?:passw(?:or)?d|secret|token|credential|api_?key|private_?key)[\w.-]*\\?"?\s*[:=]\s*)(\\?"[^"\n]*"|'[^'\n]*'|[^\s,}"'\\]+)`),
	regexp.MustCompile(`(?i)(\b(?:bearer|basic)\s+)([A-Za-z0-9._~+/=-]{8,})`),
	regexp.MustCompile(`([a-z][a-z0-9+.-]*://[^/\s:@"']*:)([^@/\s"']+)(@)`),
	regexp.MustCompile(`()(eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*)`),
	regexp.MustCompile(`()(-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?-----END [A-Z ]*PRIVATE KEY-----)`),
}

// quoted finds how a value begins that stands in quotes, of JSON in JSON too.
var quoted = regexp.MustCompile(`^\\?["']`)

// secretFileKey is one whose value is the name of a file, which is no secret.
var secretFileKey = regexp.MustCompile(`(?i)_?files?\\?"?\s*[:=]\s*$`)

// NewRedactor gathers what is known to be secret: what variables and the files
// below the folders hold whose names say so.
func NewRedactor(dirs ...string) (*Redactor, error) {
	r := &Redactor{}
	for _, kv := range os.Environ() {
		if name, value, _ := strings.Cut(kv, "="); secretName.MatchString(name) && !strings.HasSuffix(name, "_FILE") {
			r.Add(value)
		}
	}
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() && path != dir && strings.Count(strings.TrimPrefix(path, dir), string(filepath.Separator)) > 3 {
				if e != nil && e.IsDir() {
					return fs.SkipDir
				}
				return nil
			}
			if !e.Type().IsRegular() || !secretName.MatchString(e.Name()) && filepath.Ext(e.Name()) != ".secret" {
				return nil
			}
			text, err := ReadIf(path)
			if err != nil {
				return err // a secret that cannot be read cannot be taken out
			}
			for _, line := range strings.Split(string(text), "\n") {
				r.Add(line)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return r, nil
}

// Add remembers a secret as it is, and as it stands in JSON, URLs and headers.
func (r *Redactor) Add(secret string) {
	if secret = strings.TrimSpace(secret); len(secret) < shortest {
		return
	}
	r.n++
	inJSON, _ := json.Marshal(secret) //nolint:errcheck // a string can be written
	for _, form := range []string{secret, strings.Trim(string(inJSON), `"`), url.QueryEscape(secret), url.PathEscape(secret), base64.StdEncoding.EncodeToString([]byte(secret))} {
		r.secrets = append(r.secrets, []byte(form))
	}
	slices.SortFunc(r.secrets, func(a, b []byte) int { return len(b) - len(a) }) // one may hold another
}

// Known is how many secrets are known.
func (r *Redactor) Known() int { return r.n }

// Clean takes them out of text.
func (r *Redactor) Clean(text []byte) []byte {
	for _, secret := range r.secrets {
		text = bytes.ReplaceAll(text, secret, []byte(hidden))
	}
	for _, re := range looksSecret {
		text = re.ReplaceAllFunc(text, func(found []byte) []byte {
			m := re.FindSubmatch(found)
			if secretFileKey.Match(m[1]) {
				return found
			}
			quote := quoted.Find(m[2]) // so that JSON stays JSON
			out := slices.Concat(m[1], quote, []byte(hidden), quote)
			if len(m) > 3 {
				out = append(out, m[3]...)
			}
			return out
		})
	}
	return text
}
