package config

import (
	"fmt"
	"time"
)

// User is a person's file.
type User struct {
	Where
	APIVersion string        `yaml:"apiVersion" check:"required,example=prism/v1" doc:"The version of the file's form: prism/v1."`
	Kind       string        `yaml:"kind" default:"User" doc:"User."`
	Current    string        `yaml:"current" check:"name" doc:"The context in use; set it with prismctl context use."`
	Previous   string        `yaml:"previous" check:"name" doc:"The context in use before, for prismctl context -."`
	Output     string        `yaml:"output" enum:"table|wide|json|jsonl|yaml|name|csv" doc:"The form of output."`
	Color      string        `yaml:"color" enum:"auto|always|never" doc:"Whether output is coloured."`
	Timeout    time.Duration `yaml:"timeout" check:"min=1ms,max=1h" doc:"How long a command may wait."`
	Contexts   []Context     `yaml:"contexts" doc:"The gateways that are known by name."`

	Keys map[string][]string `yaml:"keys" doc:"Other keys for actions of prismctl ui, such as refresh: [f5, r]; prismctl help keys lists the actions. An empty list takes an action its keys."`
}

// A Context is a gateway with a name, and how to reach it.
type Context struct {
	Where
	Name      string `yaml:"name" check:"required,name,example=prod" doc:"The name for --context."`
	Data      string `yaml:"data" default:"127.0.0.1:8980" check:"endpoint" doc:"The address of the data API."`
	Admin     string `yaml:"admin" default:"127.0.0.1:8981" check:"endpoint" doc:"The address of the admin API."`
	Namespace string `yaml:"namespace" check:"name" doc:"The namespace of data commands."`
	Insecure  bool   `yaml:"insecure" doc:"Whether to connect without TLS."`
	CA        string `yaml:"ca" doc:"The file with the certificates to trust."`
	Protected bool   `yaml:"protected" doc:"Whether a command that destroys asks for the name."`
	TokenFile string `yaml:"token_file" doc:"The file with the credential; only its owner may read it."`
}

// Context finds a context by name.
func (u *User) Context(name string) (Context, bool) {
	if u == nil {
		return Context{}, false
	}
	for _, c := range u.Contexts {
		if c.Name == name {
			return c, true
		}
	}
	return Context{}, false
}

func (u *User) check(c *checks) {
	names := map[string]Pos{}
	for _, x := range u.Contexts {
		unique(c, x.Where, "name", x.Name, "context", names)
	}
	if u.Current != "" {
		if _, ok := names[u.Current]; !ok {
			c.missing(u.Where, "current", fault{message: fmt.Sprintf("unknown context %q", u.Current), suggestion: Nearest(u.Current, sortedKeys(names)), hint: "prismctl context list shows them"})
		}
	}
}
