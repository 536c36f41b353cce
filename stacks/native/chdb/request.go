package main

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

// A request is one statement with what it is to be run under.
type request struct {
	statement
	database   string
	format     string // of the reply, unless the statement names one
	settings   []parameter
	parameters []parameter
	readonly   bool
	body       io.Reader // the rest of the data of an INSERT

	session        string
	sessionCheck   bool
	sessionTimeout time.Duration
}

// reserved are the parameters of a URL that are no settings.
var reserved = []string{
	"query", "database", "default_format", "query_id", "quota_key", "user", "password", "role", "client_protocol_version",
	"session_id", "session_check", "session_timeout", "close_session", "stacktrace",
	"buffer_size", "wait_end_of_query", // a reply is always made whole before it is sent
	"compress", "decompress",
}

var settingName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.]*$`)

const (
	sessionTimeout    = time.Minute // as a server's default_session_timeout
	maxSessionTimeout = time.Hour
)

// readRequest reads what an HTTP request asks for. A statement may be in the
// URL, with data in the body, or in the body whole.
func readRequest(r *http.Request, maxBody int64) (*request, error) {
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, badArguments.with("cannot read the URL: %v", err)
	}
	if asked(q, "compress") || asked(q, "decompress") || r.Header.Get("Content-Encoding") != "" {
		return nil, notImplemented.with("this bridge does not compress: set the client's compression to none")
	}
	if strings.HasPrefix(r.Header.Get("Content-Type"), "multipart/") {
		return nil, notImplemented.with("this bridge has no external tables")
	}
	req := &request{
		database: q.Get("database"), format: q.Get("default_format"), readonly: r.Method != http.MethodPost,
		session: q.Get("session_id"), sessionCheck: asked(q, "session_check"), sessionTimeout: sessionTimeout,
		body: http.MaxBytesReader(nil, r.Body, maxBody),
	}
	if req.format == "" {
		req.format = "TabSeparated"
	}
	if text := q.Get("session_timeout"); text != "" {
		d, err := time.ParseDuration(text + "s")
		if err != nil || d < 0 || d > maxSessionTimeout {
			return nil, badArguments.with("session_timeout is 0 to %v, in seconds", maxSessionTimeout)
		}
		req.sessionTimeout = d
	}
	if err := req.take(q); err != nil {
		return nil, err
	}
	return req, req.readStatement(q.Get("query"))
}

func asked(q url.Values, name string) bool { return q.Get(name) == "1" || q.Get(name) == "true" }

// take sorts what is in the URL into settings and parameters of the statement.
func (req *request) take(q url.Values) error {
	for name, values := range q {
		value := values[len(values)-1]
		if p, ok := strings.CutPrefix(name, "param_"); ok {
			req.parameters = append(req.parameters, parameter{p, value})
			continue
		}
		if slices.Contains(reserved, name) {
			continue
		}
		if !settingName.MatchString(name) {
			return badArguments.with("%q is no name of a setting", name)
		}
		req.settings = append(req.settings, parameter{name, value})
	}
	slices.SortFunc(req.settings, func(a, b parameter) int { return strings.Compare(a.name, b.name) })
	return nil
}

// maxStatement bounds a statement that is not in the data of an INSERT.
const maxStatement = 16 << 20

// readStatement reads the statement, in the URL or at the front of the body.
func (req *request) readStatement(inURL string) error {
	if inURL != "" {
		req.statement = parse(inURL)
	}
	if !req.insert {
		text, err := io.ReadAll(req.body)
		if err != nil {
			return bodyError(err)
		}
		req.statement = parse(inURL + string(text))
		req.body = strings.NewReader("")
	}
	switch {
	case strings.TrimSpace(req.sql) == "":
		return syntaxError.with("Empty query")
	case !req.insert && len(req.sql) > maxStatement:
		return queryTooLarge.with("a statement may have %d bytes", maxStatement)
	case req.more:
		return syntaxError.with("Multi-statements are not allowed")
	case req.local:
		return notImplemented.with("this bridge does not read or write files of its machine for a client")
	}
	return nil
}

// bodyError tells a body that is too long from one that did not come whole.
func bodyError(err error) error {
	var long *http.MaxBytesError
	if errors.As(err, &long) {
		return queryTooLarge.with("a request may have %d bytes", long.Limit)
	}
	return badArguments.with("the request did not come whole: %v", err)
}
