package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
)

// A server answers HTTP requests as a ClickHouse server does.
type server struct {
	engine   *engine
	sessions *sessions
	users    users
	name     string // of the machine
	maxBody  int64
	running  chan struct{} // holds one for each statement that runs
}

// maxRunning statements run at a time, each in a thread of its own; one more is
// refused.
const maxRunning = 100

func newServer(e *engine, u users, maxBody int64) (*server, error) {
	name, err := os.Hostname()
	if err != nil {
		return nil, err
	}
	return &server{
		engine: e, users: u, name: name, maxBody: maxBody,
		sessions: &sessions{engine: e, kept: map[string]*session{}}, running: make(chan struct{}, maxRunning),
	}, nil
}

// close ends what the server holds of the engine.
func (s *server) close() { s.sessions.close() }

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/ping", "/replicas_status":
		_, _ = io.WriteString(w, "Ok.\n")
		return
	case "/":
	default:
		http.Error(w, "There is no handle "+r.URL.Path, http.StatusNotFound)
		return
	}
	if r.Method == http.MethodGet && r.URL.RawQuery == "" {
		_, _ = io.WriteString(w, "Ok.\n")
		return
	}
	id := r.URL.Query().Get("query_id")
	if id == "" {
		id = rand.Text()
	}
	h := w.Header()
	h.Set("X-ClickHouse-Query-Id", id)
	h.Set("X-ClickHouse-Server-Display-Name", s.name)
	h.Set("X-ClickHouse-Timezone", s.engine.timezone)
	reply, format, err := s.answer(r)
	if err != nil {
		refuse(w, err)
		return
	}
	h.Set("X-ClickHouse-Format", format)
	h.Set("Content-Type", contentType(format))
	h.Set("Content-Length", strconv.Itoa(len(reply)))
	_, _ = w.Write(reply)
}

func contentType(format string) string {
	switch {
	case strings.HasPrefix(format, "JSON"):
		return "application/json; charset=UTF-8"
	case strings.HasPrefix(format, "TabSeparated"):
		return "text/tab-separated-values; charset=UTF-8"
	case format == "Native" || format == "RowBinary":
		return "application/octet-stream"
	}
	return "text/plain; charset=UTF-8"
}

// refuse sends an error as a ClickHouse server does.
func refuse(w http.ResponseWriter, err error) {
	var e *exception
	if !errors.As(err, &e) {
		e = unknownException.with("%v", err)
	}
	w.Header().Set("X-ClickHouse-Exception-Code", strconv.Itoa(e.code))
	w.Header().Set("Content-Type", "text/plain; charset=UTF-8")
	w.WriteHeader(e.status())
	_, _ = io.WriteString(w, e.text+"\n")
}

// answer runs the statement of a request on a connection that no other request
// has, so that its reply is this one's whatever happens to others.
func (s *server) answer(r *http.Request) (reply []byte, format string, err error) {
	who, err := s.users.admit(r)
	if err != nil {
		return nil, "", err
	}
	req, err := readRequest(r, s.maxBody)
	if err != nil {
		return nil, "", err
	}
	req.readonly = req.readonly || who.readonly
	if strings.TrimSpace(req.sql) == helloQuery && req.format == "Native" {
		return helloBlock(s.name, s.engine.version, s.engine.timezone), req.format, nil
	}
	select {
	case s.running <- struct{}{}:
		defer func() { <-s.running }()
	default:
		return nil, "", tooManyQueries.with("Too many simultaneous queries. Maximum: %d", maxRunning)
	}
	c, release, err := s.sessions.acquire(req)
	if err != nil {
		return nil, "", err
	}
	defer release()
	if err := c.prepare(req); err != nil {
		return nil, "", err
	}
	if req.insert {
		return nil, req.format, c.insert(req)
	}
	reply, err = c.run(req.sql, req.format, req.parameters)
	return reply, req.format, err
}

// prepare gives the connection the database and the settings of a request.
func (c *conn) prepare(req *request) error {
	if req.database != "" {
		if _, err := c.run("USE `"+escape(req.database, "`")+"`", req.format, nil); err != nil {
			return err
		}
	}
	set := []string{"implicit_select = 0"} // as a server: the library takes "1 + 1" for a statement
	for _, p := range req.settings {
		set = append(set, fmt.Sprintf("%s = '%s'", p.name, escape(p.value, "'")))
	}
	if req.readonly {
		set = append(set, "readonly = 1") // a server lets a GET and a reader do no more
	}
	_, err := c.run("SET "+strings.Join(set, ", "), req.format, nil)
	return err
}

func escape(s, quote string) string {
	return strings.NewReplacer(`\`, `\\`, quote, `\`+quote).Replace(s)
}

// insert runs an INSERT with its data in a file: the engine cuts data that
// stands behind the statement at the first empty line. The file has no name, so
// it goes with this process; and an INSERT whose data did not come whole is
// never begun.
func (c *conn) insert(req *request) error {
	file, err := os.CreateTemp("", "chdb")
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	if err := os.Remove(file.Name()); err != nil {
		return err
	}
	if _, err := io.WriteString(file, req.data); err != nil {
		return err
	}
	if _, err := io.Copy(file, req.body); err != nil {
		return bodyError(err)
	}
	_, err = c.run(fmt.Sprintf("%s FROM INFILE '/proc/self/fd/%d' %s FORMAT %s", req.into, file.Fd(), req.clause, req.dataFormat), req.format, req.parameters)
	return err
}
