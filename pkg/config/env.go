package config

import "slices"

// A Variable is an environment variable that a program reads.
type Variable struct {
	Name    string
	Setting string // the setting that it gives; "" for none
	Doc     string
}

// Variables is the one table of environment variables: help environment prints
// it, and Resolve reads it.
func Variables() []Variable { return slices.Clone(variables) }

// The names, for the code that reads them.
const (
	EnvConfig     = "PRISM_CONFIG"
	EnvContext    = "PRISM_CONTEXT"
	EnvNamespace  = "PRISM_NAMESPACE"
	EnvData       = "PRISM_DATA"
	EnvAdmin      = "PRISM_ADMIN"
	EnvToken      = "PRISM_TOKEN"
	EnvTokenFile  = "PRISM_TOKEN_FILE"
	EnvInsecure   = "PRISM_INSECURE"
	EnvCA         = "PRISM_CA"
	EnvOutput     = "PRISM_OUTPUT"
	EnvTimeout    = "PRISM_TIMEOUT"
	EnvPrismd     = "PRISM_PRISMD"
	EnvNoSpinner  = "PRISM_NO_SPINNER"
	EnvPager      = "PRISM_PAGER"
	EnvAccessible = "PRISM_ACCESSIBLE"
	EnvNative     = "PRISM_NATIVE_"
	EnvTraceURL   = "PRISM_TRACE_URL"
	EnvRunURL     = "PRISM_RUN_URL"
	EnvOTLP       = "OTEL_EXPORTER_OTLP_ENDPOINT"
)

var variables = []Variable{
	{EnvConfig, "config", "The person's file, instead of the one in the XDG configuration folder."},
	{EnvContext, "context", "The context to use."},
	{EnvNamespace, "namespace", "The namespace of data commands."},
	{EnvData, "data", "The address of the data API, whatever the context says."},
	{EnvAdmin, "admin", "The address of the admin API, whatever the context says."},
	{EnvToken, "token", "The credential. Prefer PRISM_TOKEN_FILE: the environment of a process can be read by others."},
	{EnvTokenFile, "token_file", "The file with the credential."},
	{EnvInsecure, "insecure", "Whether to connect without TLS: true or false."},
	{EnvCA, "ca", "The file with the certificates to trust."},
	{EnvOutput, "output", "The form of output, as -o."},
	{EnvTimeout, "timeout", "How long a command may wait, such as 30s."},
	{EnvPrismd, "prismd", "The program prismd that dev up starts."},
	{EnvNoSpinner, "", "Words instead of animation, if not empty."},
	{EnvAccessible, "", "Dashboards as words line by line, for a screen reader, if not empty."},
	{EnvPager, "", "The pager for long output; none if empty."},
	{EnvNative + "<NAME>", "", "The program of a native form of a stack, such as PRISM_NATIVE_REDIS."},
	{EnvTraceURL, "", "Where traces can be looked at; {trace} in it stands for the id."},
	{EnvRunURL, "", "Where the figures of a load test can be looked at; {run} in it stands for the word of the run."},
	{EnvOTLP, "", "A collector, such as http://localhost:4317, that a command's own trace is sent to."},
	{"EDITOR", "", "The program that config edit starts; VISUAL is stronger."},
	{"NO_COLOR", "", "No colour, if not empty."},
	{"XDG_CONFIG_HOME", "", "Where the person's file is: prism/config.yaml in it."},
	{"XDG_STATE_HOME", "", "Where dev up keeps its state and logs."},
	{"XDG_CACHE_HOME", "", "Where completions are cached."},
	{"XDG_RUNTIME_DIR", "", "Where dev up puts its control socket."},
}

func variableFor(setting string) string {
	for _, v := range variables {
		if v.Setting == setting {
			return v.Name
		}
	}
	return ""
}
