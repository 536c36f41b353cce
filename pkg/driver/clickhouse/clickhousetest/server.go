package clickhousetest

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// A Server is a ClickHouse that runs. Start, Stop, Kill, Freeze and Thaw are
// for faults; its addresses stay what they are.
type Server struct {
	// HTTP is host:port of the HTTP interface.
	HTTP string
	// Native is host:port of the native protocol; empty for a bridge, which has
	// none.
	Native string

	process
}

// Dir is the server's folder. Under Tiers it has the disks "hot" and "cold".
func (s *Server) Dir() string { return s.dir }

// run makes a server and starts it. Another program may have taken a port
// meanwhile: then it is made anew.
func run(set func(*Server) error) (*Server, error) {
	var err error
	for range 3 {
		s := &Server{}
		if s.dir, err = os.MkdirTemp("", "clickhouse"); err != nil {
			return nil, err
		}
		if err = set(s); err == nil {
			s.ready = s.answers
			err = s.Start()
		}
		if err == nil {
			return s, nil
		}
		_ = os.RemoveAll(s.dir)
		if !strings.Contains(strings.ToLower(err.Error()), "address already in use") {
			return nil, err
		}
	}
	return nil, err
}

// freePort is a port below those that the system gives to whoever asks for any,
// so that it is still free when the server is started again.
func freePort() (int, error) {
	const low, high, tries = 20000, 30000, 100
	for range tries {
		port := low + rand.IntN(high-low)
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			continue
		}
		return port, l.Close()
	}
	return 0, fmt.Errorf("no free port between %d and %d", low, high)
}

func local(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// answers asks for what a client needs.
func (s *Server) answers() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_, err := s.Query(ctx, "SELECT 1")
	return err
}

// Query runs a statement as user default, over HTTP and beside any driver, and
// gives its result as text: columns by tabs, rows by newlines.
func (s *Server) Query(ctx context.Context, sql string) (string, error) {
	return s.QueryAs(ctx, "default", "", sql)
}

// QueryAs is Query as another user.
func (s *Server) QueryAs(ctx context.Context, user, password, sql string) (string, error) {
	u := url.URL{Scheme: "http", Host: s.HTTP, Path: "/", User: url.UserPassword(user, password)}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), strings.NewReader(sql))
	if err != nil {
		return "", err
	}
	req.Close = true // a connection of its own: the server may have been started anew
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", s.crashed(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return "", err
	}
	if res.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s: %s", sql, strings.TrimSpace(string(text)))
	}
	return strings.TrimSuffix(string(text), "\n"), nil
}

// setBridge prepares the folder and the command line of a prism-chdb.
func (s *Server) setBridge(program string, set settings) error {
	port, err := freePort()
	if err != nil {
		return err
	}
	s.name, s.program, s.HTTP = "prism-chdb", program, local(port)
	s.args = []string{"--listen", s.HTTP, "--path", filepath.Join(s.dir, "data")}
	if len(set.users) > 0 {
		lines := ""
		for _, a := range append([]account{{name: "default"}}, set.users...) {
			lines += bridgeUser(a)
		}
		file := filepath.Join(s.dir, "users")
		s.args = append(s.args, "--users", file)
		if err := os.WriteFile(file, []byte(lines), 0o600); err != nil {
			return err
		}
	}
	var config string
	if set.fsync {
		config += "<merge_tree><fsync_after_insert>1</fsync_after_insert></merge_tree>\n"
	}
	if set.tiers {
		config += tierConfig(s.dir)
		if err := errors.Join(os.Mkdir(filepath.Join(s.dir, "hot"), 0o700), os.Mkdir(filepath.Join(s.dir, "cold"), 0o700)); err != nil {
			return err
		}
	}
	if config == "" {
		return nil
	}
	file := filepath.Join(s.dir, "config.xml")
	s.args = append(s.args, "--config-file", file)
	return os.WriteFile(file, []byte("<clickhouse>"+config+"</clickhouse>\n"), 0o600)
}

func bridgeUser(a account) string {
	if a.readonly {
		return a.name + " " + a.password + " readonly\n"
	}
	return a.name + " " + a.password + "\n"
}

func tierConfig(dir string) string {
	return fmt.Sprintf(`<storage_configuration>
<disks><hot><path>%s/</path></hot><cold><path>%s/</path></cold></disks>
<policies><tiers><volumes><hot><disk>hot</disk></hot><cold><disk>cold</disk></cold></volumes></tiers></policies>
</storage_configuration>
`, escaped(filepath.Join(dir, "hot")), escaped(filepath.Join(dir, "cold")))
}

// escaped is a text inside of XML.
func escaped(text string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(text)) // a Builder takes everything
	return b.String()
}
