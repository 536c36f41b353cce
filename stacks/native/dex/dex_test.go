package dex_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"text/template"
	"time"

	"golang.org/x/crypto/bcrypt"
)

// program is what tools/dex.sh has built.
func program(t *testing.T) string {
	t.Helper()
	path := os.Getenv("PRISM_NATIVE_DEX")
	if path == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			t.Fatal(err)
		}
		path = filepath.Join(cache, "prism-test", "dex-2.45.1", "dex")
	}
	if _, err := os.Stat(path); err != nil {
		if os.Getenv("PRISM_TEST_REQUIRE") == "all" {
			t.Fatalf("cannot run here: %v (tools/dex.sh sees to it)", err)
		}
		t.Skipf("NOT TESTED: %v (tools/dex.sh sees to it)", err)
	}
	return path
}

// A provider is a Dex that runs with testdata/config.yaml.
type provider struct {
	t      *testing.T
	config string // file
	issuer string
	health string
	cmd    *exec.Cmd
	log    bytes.Buffer
}

// password is what the test's people sign in with: their name before it.
const password = "-p4ssw0rd"

// hashes are those of the people's passwords. Dex refuses a cost below 10, which
// takes its time under the race detector.
var hashes = sync.OnceValue(func() map[string]string {
	made := map[string]string{}
	for _, name := range []string{"dev", "admin", "operator", "viewer", "test"} {
		hash, err := bcrypt.GenerateFromPassword([]byte(name+password), 10)
		if err != nil {
			panic(err)
		}
		made[name] = string(hash)
	}
	return made
})

func newProvider(t *testing.T) *provider {
	t.Helper()
	dir, addrs := t.TempDir(), map[string]string{}
	for _, name := range []string{"http", "grpc", "telemetry"} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = l.Close() }()
		addrs[name] = l.Addr().String()
	}
	tmpl, err := template.New("config.yaml").Funcs(template.FuncMap{
		"addr":   func(name string) string { return addrs[name] },
		"data":   func() string { return dir },
		"secret": func(name string) string { return name + password },
		"bcrypt": func(name string) string { return hashes()[name] },
	}).ParseFiles("testdata/config.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	if err := tmpl.Execute(&text, nil); err != nil {
		t.Fatal(err)
	}
	p := &provider{t: t, config: filepath.Join(dir, "config.yaml"), issuer: "http://" + addrs["http"] + "/dex", health: "http://" + addrs["telemetry"] + "/healthz"}
	if err := os.WriteFile(p.config, text.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.stop)
	return p
}

func (p *provider) start() {
	p.t.Helper()
	p.log.Reset()
	p.cmd = exec.Command(program(p.t), "serve", p.config)
	p.cmd.Stdout, p.cmd.Stderr = &p.log, &p.log
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(p.t.Context(), 30*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if res, err := http.Get(p.issuer + "/.well-known/openid-configuration"); err == nil {
			_ = res.Body.Close()
			return
		}
		select {
		case <-ctx.Done():
			_ = p.cmd.Process.Kill()
			_ = p.cmd.Wait()
			p.t.Fatalf("no answer within 30 s:\n%s", p.log.String())
		case <-tick.C:
		}
	}
}

func (p *provider) stop() {
	if p.cmd == nil {
		return
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	_ = p.cmd.Wait()
	// Dex says so with 2 when a signal has ended it.
	if code := p.cmd.ProcessState.ExitCode(); code != 2 {
		p.t.Errorf("after SIGTERM: %s, want exit code 2\n%s", p.cmd.ProcessState, p.log.String())
	}
	p.cmd = nil
}

// answer reads JSON; anything but the status is a failure.
func (p *provider) answer(res *http.Response, err error, status int, into any) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != status {
		p.t.Fatalf("%s: %s, want %d: %v\n%s", res.Request.URL, res.Status, status, err, body)
	}
	if err := json.Unmarshal(body, into); err != nil {
		p.t.Fatalf("%s: %v\n%s", res.Request.URL, err, body)
	}
}

type token struct {
	ID      string `json:"id_token"`
	Refresh string `json:"refresh_token"`
	Error   string `json:"error"`
}

const scopes = "openid profile email groups offline_access"

func (p *provider) post(path string, form url.Values, status int, into any) {
	p.t.Helper()
	res, err := http.PostForm(p.issuer+path, form)
	p.answer(res, err, status, into)
}

func (p *provider) passwordGrant(email, password string, status int) (got token) {
	p.t.Helper()
	p.post("/token", url.Values{
		"grant_type": {"password"}, "client_id": {"prismctl"}, "scope": {scopes}, "username": {email}, "password": {password},
	}, status, &got)
	return got
}

type claims struct {
	Issuer   string   `json:"iss"`
	Audience string   `json:"aud"`
	Email    string   `json:"email"`
	Verified bool     `json:"email_verified"`
	Name     string   `json:"name"`
	Groups   []string `json:"groups"`
	Expiry   int64    `json:"exp"`
}

// verified reads an id token that one of the provider's keys has signed.
func (p *provider) verified(idToken string) (c claims) {
	p.t.Helper()
	part := strings.Split(idToken, ".")
	if len(part) != 3 {
		p.t.Fatalf("not a token: %q", idToken)
	}
	decode := func(s string) []byte {
		b, err := base64.RawURLEncoding.DecodeString(s)
		if err != nil {
			p.t.Fatal(err)
		}
		return b
	}
	var head struct{ Kid, Alg string }
	var set struct {
		Keys []struct{ Kid, N, E string }
	}
	if err := json.Unmarshal(decode(part[0]), &head); err != nil {
		p.t.Fatal(err)
	}
	res, err := http.Get(p.issuer + "/keys")
	p.answer(res, err, http.StatusOK, &set)
	for _, k := range set.Keys {
		if k.Kid != head.Kid {
			continue
		}
		key := &rsa.PublicKey{N: new(big.Int).SetBytes(decode(k.N)), E: int(new(big.Int).SetBytes(decode(k.E)).Int64())}
		sum := sha256.Sum256([]byte(part[0] + "." + part[1]))
		if err := rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], decode(part[2])); err != nil {
			p.t.Fatalf("signature: %v", err)
		}
		if err := json.Unmarshal(decode(part[1]), &c); err != nil {
			p.t.Fatal(err)
		}
		return c
	}
	p.t.Fatalf("no key %q among %v", head.Kid, set.Keys)
	return c
}

func TestDiscoveryNamesTheIssuerAndHealthAnswers(t *testing.T) {
	t.Parallel()
	p := newProvider(t)
	p.start()
	var doc struct {
		Issuer string   `json:"issuer"`
		Device string   `json:"device_authorization_endpoint"`
		Grants []string `json:"grant_types_supported"`
	}
	res, err := http.Get(p.issuer + "/.well-known/openid-configuration")
	p.answer(res, err, http.StatusOK, &doc)
	if doc.Issuer != p.issuer || doc.Device == "" || !slices.Contains(doc.Grants, "password") {
		t.Errorf("discovery says %+v, want issuer %s, a device endpoint and the password grant", doc, p.issuer)
	}
	res, err = http.Get(p.health)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Errorf("health: %s", res.Status)
	}
}

func TestThePasswordGrantGivesEachPersonsGroups(t *testing.T) {
	t.Parallel()
	p := newProvider(t)
	p.start()
	for name, want := range map[string][]string{
		"dev": {"prism:admin", "prism:operator", "prism:viewer"}, "admin": {"prism:admin"},
		"operator": {"prism:operator"}, "viewer": {"prism:viewer"}, "test": {"prism:viewer"},
	} {
		c := p.verified(p.passwordGrant(name+"@local.prism", name+password, http.StatusOK).ID)
		if !slices.Equal(c.Groups, want) || c.Email != name+"@local.prism" || !c.Verified || c.Audience != "prismctl" || c.Issuer != p.issuer {
			t.Errorf("%s: %+v, want groups %v", name, c, want)
		}
		if left := time.Until(time.Unix(c.Expiry, 0)); left < 50*time.Minute || left > time.Hour {
			t.Errorf("%s: ends in %v, want an hour", name, left)
		}
	}
	if got := p.passwordGrant("dev@local.prism", "admin"+password, http.StatusUnauthorized); got.Error != "access_denied" || got.ID != "" {
		t.Errorf("another's password: %+v", got)
	}
}

func TestSignInsOutliveARestart(t *testing.T) {
	t.Parallel()
	p := newProvider(t)
	p.start()
	before := p.passwordGrant("dev@local.prism", "dev"+password, http.StatusOK)
	p.stop()
	p.start()
	if c := p.verified(before.ID); c.Email != "dev@local.prism" {
		t.Errorf("the token of before: %+v", c)
	}
	var after token
	p.post("/token", url.Values{"grant_type": {"refresh_token"}, "client_id": {"prismctl"}, "refresh_token": {before.Refresh}}, http.StatusOK, &after)
	if c := p.verified(after.ID); len(c.Groups) != 3 {
		t.Errorf("refreshed: %+v, want three groups", c)
	}
}

// A person opens the address, types the code, signs in: without a browser's
// scripts, which Dex's pages do not need.
func TestTheDeviceFlowWorksForThePublicClient(t *testing.T) {
	t.Parallel()
	p := newProvider(t)
	p.start()
	var device struct {
		Device   string `json:"device_code"`
		User     string `json:"user_code"`
		Complete string `json:"verification_uri_complete"`
	}
	p.post("/device/code", url.Values{"client_id": {"prismctl"}, "scope": {scopes}}, http.StatusOK, &device)
	poll := url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:device_code"}, "client_id": {"prismctl"}, "device_code": {device.Device}}
	var got token
	p.post("/token", poll, http.StatusBadRequest, &got)
	if got.Error != "authorization_pending" {
		t.Errorf("before the sign-in: %+v", got)
	}

	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	browser := &http.Client{Jar: jar}
	form := submit(t, browser, p.issuer+"/device/auth/verify_code", url.Values{"user_code": {device.User}})
	page := submit(t, browser, form.String(), url.Values{"login": {"dev@local.prism"}, "password": {"dev" + password}})
	if !strings.HasSuffix(page.Path, "/device/callback") {
		t.Fatalf("after the sign-in the browser is at %s", page)
	}
	// The provider wants five seconds between two questions.
	var c claims
	for deadline := time.Now().Add(30 * time.Second); c.Email == ""; {
		res, err := http.PostForm(p.issuer+"/token", poll)
		if err != nil {
			t.Fatal(err)
		}
		got = token{}
		err = json.NewDecoder(res.Body).Decode(&got)
		_ = res.Body.Close()
		switch {
		case err != nil || time.Now().After(deadline):
			t.Fatalf("no token: %+v %v", got, err)
		case got.ID != "":
			c = p.verified(got.ID)
		default:
			<-time.After(500 * time.Millisecond)
		}
	}
	if len(c.Groups) != 3 || c.Audience != "prismctl" {
		t.Errorf("the device's token: %+v", c)
	}
}

// submit posts a form and gives the address at which the browser ends.
func submit(t *testing.T, browser *http.Client, to string, form url.Values) *url.URL {
	t.Helper()
	res, err := browser.PostForm(to, form)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, _ := io.ReadAll(res.Body)
	if res.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s\n%s", res.Request.URL, res.Status, body)
	}
	return res.Request.URL
}

func TestAPublicClientMayUseAnyPortOfLoopback(t *testing.T) {
	t.Parallel()
	p := newProvider(t)
	p.start()
	verifier := sha256.Sum256([]byte("verifier"))
	for redirect, want := range map[string]int{
		"http://127.0.0.1:45678/callback": http.StatusOK, "http://localhost:45679/callback": http.StatusOK,
		"https://example.com/callback": http.StatusBadRequest,
	} {
		q := url.Values{
			"response_type": {"code"}, "client_id": {"prismctl"}, "redirect_uri": {redirect}, "scope": {scopes}, "state": {"s"},
			"code_challenge": {base64.RawURLEncoding.EncodeToString(verifier[:])}, "code_challenge_method": {"S256"},
		}
		res, err := http.Get(p.issuer + "/auth?" + q.Encode())
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if res.StatusCode != want {
			t.Errorf("%s: %s, want %d\n%s", redirect, res.Status, want, body)
		}
	}
}

func TestTheProgramTellsItsVersion(t *testing.T) {
	t.Parallel()
	out, err := exec.CommandContext(t.Context(), program(t), "version").CombinedOutput()
	if want := fmt.Sprintf("Dex Version: %s\n", "v2.45.1"); err != nil || !strings.HasPrefix(string(out), want) {
		t.Errorf("%v: %q, want it to begin with %q", err, out, want)
	}
}
