package namespaces

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/tui/component/text"
	"github.com/prism-data-layer/prism/tui/page"
)

// models are the kinds of data that a namespace can be of.
func models() []string { return []string{"keyvalue", "cache", "queue", "pubsub", "timeseries"} }

// Options are words with a remark behind: a name has no space.
const (
	byGateway = "(the gateway's choice)"
	cannot    = "✗ cannot: "
)

// options writes backends for a form, those that can first.
func options(all []Backend, without string) []string {
	var can, not []string
	for _, b := range all {
		switch {
		case b.Name == without:
		case b.Cannot != "":
			not = append(not, b.Name+"  "+cannot+text.Clean(b.Cannot))
		default:
			line := fmt.Sprintf("%s  %s, %s, %s", b.Name, b.Driver, b.Health, text.Clean(b.Durability))
			if len(b.Fewer) > 0 {
				line += ", without " + text.Clean(strings.Join(b.Fewer, ", "))
			}
			can = append(can, line)
		}
	}
	return append(can, not...)
}

// chosen is the name in an option; "" for what is left to the gateway.
func chosen(option string) string {
	if strings.HasPrefix(option, "(") {
		return ""
	}
	name, _, _ := strings.Cut(option, " ")
	return name
}

func checkBackend(problems map[string]string, field, option string) {
	if _, why, ok := strings.Cut(option, cannot); ok {
		problems[field] = "this backend cannot hold it: " + why
	}
}

func checkDuration(problems map[string]string, field, v string) {
	if v != "" && !regexp.MustCompile(`^(\d+(\.\d+)?(w|d|h|m|s|ms|us|ns))+$`).MatchString(v) {
		problems[field] = "write a number and a unit, such as 15m or 30d"
	}
}

func checkNumber(problems map[string]string, field, v string) {
	if v != "" && !regexp.MustCompile(`^\d{1,15}$`).MatchString(v) {
		problems[field] = "write a whole number"
	}
}

// create is the wizard for a new namespace.
func create(e page.Env, s Source, taken []string) page.Form {
	of := func(models ...string) func(map[string]string) bool {
		return func(v map[string]string) bool { return slices.Contains(models, v["model"]) }
	}
	return page.Form{
		Title: "New namespace", Verb: "Create",
		Fields: []page.Field{
			{Name: "name", Label: "Name", Help: "small letters, digits and -, such as orders", Required: true},
			{Name: "model", Label: "Model", Help: "the kind of data API", Value: "keyvalue", Options: models()},
			{
				Name: "backend", Label: "Backend", Help: "where the data is kept", Value: byGateway,
				Choices: func(ctx context.Context, v map[string]string) ([]string, error) {
					all, err := s.Homes(ctx, Wish{Name: v["name"], Model: v["model"]})
					return append([]string{byGateway}, options(all, "")...), err
				},
			},
			{Name: "description", Label: "Description", Help: "what it is for"},
			{Name: "durability", Label: "Durability", Help: "what an answered write must mean", Value: "strong", Options: []string{"strong", "relaxed"}, When: of("keyvalue", "queue", "timeseries")},
			{Name: "default-ttl", Label: "Default TTL", Help: "of a write that names none, such as 30m; empty: none", When: of("keyvalue", "cache")},
			{Name: "max-ttl", Label: "Longest TTL", Help: "such as 30d; empty: no bound", When: of("keyvalue", "cache")},
			{Name: "retention", Label: "Retention", Help: "how long events are kept, such as 90d; empty: for ever", When: of("timeseries")},
			{Name: "auto-create", Label: "Make on publishing", Help: "whether publishing makes topics and queues", Value: "yes", Options: []string{"yes", "no"}, When: of("queue")},
			{Name: "request-rps", Label: "Requests a second", Help: "at most so many; empty: no bound"},
			{Name: "burst", Label: "Burst", Help: "so many at once; empty: as the rate", When: func(v map[string]string) bool { return v["request-rps"] != "" }},
		},
		Check: func(v map[string]string) map[string]string {
			problems := map[string]string{}
			switch {
			case v["name"] == "":
			case !prism.ValidName(v["name"]):
				problems["name"] = "small letters, digits and -, a letter first, at most 63"
			case slices.Contains(taken, v["name"]):
				problems["name"] = "there is a namespace of this name"
			}
			checkBackend(problems, "backend", v["backend"])
			for _, f := range []string{"default-ttl", "max-ttl", "retention"} {
				checkDuration(problems, f, v[f])
			}
			for _, f := range []string{"request-rps", "burst"} {
				checkNumber(problems, f, v[f])
			}
			return problems
		},
		Command: func(v map[string]string) string { return e.Line(createArgs(v)...) },
		Do: func(ctx context.Context, v map[string]string, say func(string)) (string, error) {
			out, err := s.Run(ctx, createArgs(v), "", say)
			return strings.TrimSpace(out), err
		},
	}
}

// createArgs is the command line of the answers. What was answered for another
// model is left out.
func createArgs(v map[string]string) []string {
	args := []string{"namespace", "create", v["name"]}
	add := func(flag, value, normal string, models ...string) {
		if value != "" && value != normal && (models == nil || slices.Contains(models, v["model"])) {
			args = append(args, "--"+flag, value)
		}
	}
	add("model", v["model"], "keyvalue")
	add("backend", chosen(v["backend"]), "")
	add("description", v["description"], "")
	add("durability", v["durability"], "strong", "keyvalue", "queue", "timeseries")
	add("default-ttl", v["default-ttl"], "", "keyvalue", "cache")
	add("max-ttl", v["max-ttl"], "", "keyvalue", "cache")
	add("retention", v["retention"], "", "timeseries")
	if v["model"] == "queue" && v["auto-create"] == "no" {
		args = append(args, "--auto-create=false")
	}
	add("request-rps", v["request-rps"], "")
	if v["request-rps"] != "" {
		add("burst", v["burst"], "")
	}
	return args
}
