package config

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/prism-data-layer/prism/pkg/prism"
)

const userText = `apiVersion: prism/v1
kind: User
current: prod
output: json
timeout: 10s
contexts:
  - {name: prod, data: "prod:8980", namespace: orders, ca: /etc/ca.pem, protected: true, token_file: /run/token}
  - {name: stage, data: "stage:8980", insecure: true}
`

func userFile(t *testing.T) *User {
	t.Helper()
	u, err := ParseUser("/u/config.yaml", []byte(userText), Load{})
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestLayersWinInOrder(t *testing.T) {
	t.Parallel()
	project, err := ParseProject("/p/.prism.yaml", []byte("apiVersion: prism/v1\ncontext: stage\ndefaults: {namespace: kv, output: yaml}\n"), Load{})
	if err != nil {
		t.Fatal(err)
	}
	dev := &Context{Name: "dev-x-123456", Data: "127.0.0.1:1", Admin: "127.0.0.1:2", Namespace: "kv", Insecure: true}
	all := Layers{
		Flags: map[string]string{"context": "prod", "namespace": "n1"}, Lookup: lookup(EnvContext, "stage", EnvData, "env:1", EnvToken, "CANARY"),
		Project: project, Dev: dev, User: userFile(t), Path: "/u/config.yaml",
	}
	for name, c := range map[string]struct {
		change func(*Layers)
		want   map[string]string // setting → value @ origin
	}{
		"flag":        {func(*Layers) {}, map[string]string{"context": "prod @ --context", "namespace": "n1 @ --namespace", "data": "env:1 @ PRISM_DATA", "output": "yaml @ /p/.prism.yaml:3:35", "token": "CANARY @ PRISM_TOKEN", "admin": "127.0.0.1:8981 @ default", "config": "/u/config.yaml @ default"}},
		"environment": {func(l *Layers) { l.Flags = nil }, map[string]string{"context": "stage @ PRISM_CONTEXT", "insecure": "true @ /u/config.yaml:8:49", "namespace": "kv @ /p/.prism.yaml:3:23"}},
		"project":     {func(l *Layers) { l.Flags, l.Lookup = nil, nil }, map[string]string{"context": "stage @ /p/.prism.yaml:2:10", "data": "stage:8980 @ /u/config.yaml:8:25"}},
		"dev":         {func(l *Layers) { l.Flags, l.Lookup, l.Project = nil, nil, nil }, map[string]string{"context": "dev-x-123456 @ dev up", "data": "127.0.0.1:1 @ ", "insecure": "true @ ", "output": "json @ /u/config.yaml:4:9"}},
		"user":        {func(l *Layers) { l.Flags, l.Lookup, l.Project, l.Dev = nil, nil, nil, nil }, map[string]string{"context": "prod @ /u/config.yaml:3:10", "data": "prod:8980 @ /u/config.yaml:7:24", "namespace": "orders @ /u/config.yaml:7:48", "timeout": "10s @ /u/config.yaml:5:10"}},
		"default":     {func(l *Layers) { *l = Layers{} }, map[string]string{"context": " @ default", "data": "127.0.0.1:8980 @ default", "timeout": "30s @ default", "color": "auto @ default"}},
	} {
		l := all
		c.change(&l)
		s, err := Resolve(l)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for setting, want := range c.want {
			if v := s.Get(setting); v.Value+" @ "+v.Origin != want {
				t.Errorf("%s: %s = %s @ %s, want %s", name, setting, v.Value, v.Origin, want)
			}
		}
	}
	s, _ := Resolve(all)
	if v := s.Get("token"); v.Display() != hidden || s.Get("data").Display() != "env:1" {
		t.Errorf("the token is shown: %q", v.Display())
	}
	c := s.Context()
	if c.Name != "prod" || c.Data != "env:1" || c.CA != "/etc/ca.pem" || !c.Protected || c.Namespace != "n1" || c.TokenFile != "/run/token" {
		t.Errorf("context = %+v", c)
	}
	if s.Duration("timeout") != 10*time.Second || s.Duration("data") != 0 || s.String("none") != "" || len(s.List()) != 13 {
		t.Errorf("settings = %+v", s.List())
	}
	if names := strings.Join(s.ContextNames(), " "); names != "dev-x-123456 prod stage" {
		t.Errorf("names = %s", names)
	}
}

func TestWrongSettingsNameTheirOrigin(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		l    Layers
		want string
	}{
		"timeout":   {Layers{Lookup: lookup(EnvTimeout, "10")}, `PRISM_TIMEOUT: the duration "10" has no unit; did you mean "10s"?`},
		"insecure":  {Layers{Lookup: lookup(EnvInsecure, "yes")}, "PRISM_INSECURE: "},
		"address":   {Layers{Flags: map[string]string{"data": "nowhere"}}, "--data: "},
		"namespace": {Layers{Flags: map[string]string{"namespace": "A/../b"}}, "--namespace: "},
		"color":     {Layers{Flags: map[string]string{"color": "alway"}}, `did you mean "always"?`},
	} {
		if _, err := Resolve(c.l); err == nil || !strings.Contains(err.Error(), c.want) || !errors.Is(err, prism.ReasonInvalidConfig) {
			t.Errorf("%s: got %v, want %s", name, err, c.want)
		}
	}
	_, err := Resolve(Layers{User: userFile(t), Flags: map[string]string{"context": "prd"}})
	if !errors.Is(err, prism.ReasonNotFound) || !strings.Contains(err.Error(), `did you mean "prod"?`) {
		t.Errorf("got %v", err)
	}
	if _, err := Resolve(Layers{Lookup: lookup(EnvContext, "none")}); !errors.Is(err, prism.ReasonNotFound) {
		t.Errorf("got %v", err)
	}
}

func TestEveryVariableIsDescribed(t *testing.T) {
	t.Parallel()
	s, err := Resolve(Layers{})
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, v := range Variables() {
		if v.Doc == "" || seen[v.Name] {
			t.Errorf("%s is not described once", v.Name)
		}
		seen[v.Name] = true
		if v.Setting != "" && s.Get(v.Setting).Name == "" {
			t.Errorf("%s gives a setting %q that there is not", v.Name, v.Setting)
		}
	}
}
