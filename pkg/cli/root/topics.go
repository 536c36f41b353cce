package root

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/cli/ui"
	"github.com/prism-data-layer/prism/pkg/config"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// A topic is a page of help that belongs to no command. What can be made from
// code is.
type topic struct {
	name string
	text func(*cli.Factory, *cobra.Command) string
}

func topics() []topic {
	return []topic{
		{"auth", fixed(authTopic)},
		{"config", fixed(configTopic)},
		{"environment", environmentTopic},
		{"errors", errorsTopic},
		{"exit-codes", exitTopic},
		{"flags", flagsTopic},
		{"formatting", fixed(formattingTopic)},
		{"keys", func(*cli.Factory, *cobra.Command) string { return ui.KeyHelp() }},
	}
}

func fixed(text string) func(*cli.Factory, *cobra.Command) string {
	return func(*cli.Factory, *cobra.Command) string { return text }
}

func environmentTopic(*cli.Factory, *cobra.Command) string {
	var b strings.Builder
	b.WriteString("Environment variables. A flag is stronger than a variable, a variable stronger than a file.\n\n")
	width := 0
	for _, v := range config.Variables() {
		width = max(width, len(v.Name))
	}
	for _, v := range config.Variables() {
		fmt.Fprintf(&b, "  %-*s  %s\n", width, v.Name, v.Doc)
	}
	b.WriteString("\nprismctl config view --show-origin shows which value comes from where.\n")
	return b.String()
}

func exitTopic(*cli.Factory, *cobra.Command) string {
	var b strings.Builder
	b.WriteString("Exit codes.\n\n")
	for _, c := range cli.ExitCodes() {
		fmt.Fprintf(&b, "  %3d  %s\n", c.Code, c.Meaning)
	}
	return b.String()
}

func errorsTopic(*cli.Factory, *cobra.Command) string {
	var b strings.Builder
	b.WriteString(`Errors go to standard error in one shape:

  error: what went wrong, and with what
    cause: why
    fix: what to type
    docs: where it is explained
    trace: the trace and the request, to find it in the logs

-v shows every field, the code and further facts. With -o json the error is one
JSON object. Each error has a code that stays; prismctl errors lookup CODE
explains it:

`)
	for _, i := range prism.Infos() {
		fmt.Fprintf(&b, "  %-12s %-22s %s\n", i.Code(), i.Reason, i.Summary)
	}
	return b.String()
}

func flagsTopic(_ *cli.Factory, root *cobra.Command) string {
	return "Flags that every command takes, before or after its words.\n\n" +
		cli.FlagUsage(root.PersistentFlags()) +
		"  -h, --help                 show help\n      --version              show the version of prismctl\n"
}

const formattingTopic = `Output formats, chosen with -o FORMAT on every command that shows something.

  table                 for people; times are relative, wide cells are cut on a terminal only
  wide                  the table with more columns
  json                  one object, or an array of objects; an empty list is []
  jsonl                 one object a line
  yaml                  the same as YAML
  name                  names only, as --quiet
  csv                   every field, with a line of names
  jsonpath=PATH         such as jsonpath='{[*].name}'
  go-template=TEMPLATE  such as go-template='{{range .}}{{.name}}{{"\n"}}{{end}}'
  custom-columns=SPEC   such as custom-columns=NAME:.name,STATE:.state

Everything that a table shows is in the JSON too. Objects carry apiVersion and
kind. Times are RFC 3339 in UTC; lengths of time and sizes are plain numbers in
fields that end in _ms, _us or _bytes.

  --json a,b            only these fields; prismctl schema KIND lists them
  --jq EXPRESSION       filter the JSON, without jq being installed
  --no-headers          no line of column names
  --sort-by FIELD       sort; -FIELD for the reverse
  --limit N             at most N; --all for all there are
  --time-format FORMAT  times in tables: relative, utc, local or unix
  --utc                 the same as --time-format utc

Data goes to standard output, everything else to standard error, so that
prismctl namespace list -o json 2>/dev/null | jq . always works.
Names and values are shown with control characters escaped, except by
prismctl kv get in a pipe.

Colour follows --color, NO_COLOR, CLICOLOR_FORCE or FORCE_COLOR, CLICOLOR=0,
TERM=dumb, and last whether the stream is a terminal. Long output goes to
PRISM_PAGER, PAGER or less, on a terminal only; PRISM_PAGER= turns that off.
`

const authTopic = `Who prismctl is to a gateway. It sends a credential, an API key, with every
call; the gateway knows the principal behind it and what that may do.

  prismctl key create user:ann --role operator    makes a key; its secret is shown this once
  prismctl --token-file FILE …                    sends the key in FILE
  prismctl context add NAME --token-file FILE …   remembers the file with the gateway
  prismctl key revoke ID                          ends it, and the sessions that hold it

Keep such a file readable by you alone (chmod 600). PRISM_TOKEN holds a
credential itself, for places that have no files. No command takes a secret as
an argument, and none is printed, logged or shown with --debug.

Roles are for the admin API: viewer looks, operator ends running things too,
admin may do all. A key without a role is a data client; what it may do stands
in the access rules of each namespace (prismctl namespace describe NAME).

A gateway with authentication off, as dev up makes it, takes calls from this
machine only and knows every caller as dev. A refused credential is exit code 4.
`

const configTopic = `Configuration of prismctl. The first of these that names a value wins:

  1. a flag                          --context, --namespace, --data, …
  2. the environment                 PRISM_CONTEXT, … (prismctl help environment)
  3. the project's .prism.yaml       in this folder or above it
  4. the gateway of dev up           in the folder where it runs
  5. your own config.yaml            in $XDG_CONFIG_HOME/prism or ~/.config/prism
  6. the default

  prismctl config view --show-origin    shows each value and where it comes from
  prismctl config validate FILE         checks a gateway's, a project's or your own file
  prismctl config show                  shows the gateway's settings that dev up would use
  prismctl context add NAME --data A    remembers a gateway by name

  # .prism.yaml
  apiVersion: prism/v1
  kind: Project
  defaults: {namespace: orders}

  # config.yaml
  apiVersion: prism/v1
  kind: User
  current: prod
  contexts:
    - {name: prod, data: "prism.example.com:8980", admin: "prism.example.com:8981", token_file: ~/.config/prism/prod.token, protected: true}
`
