package cli

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/prism-data-layer/prism/pkg/iostreams"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
)

// completeWithin is how long a shell may be kept waiting at a Tab.
const completeWithin = 500 * time.Millisecond

// completeAtMost is how many names a shell is given.
const completeAtMost = 200

// A Candidate is a name that a shell may complete to, and what it is.
type Candidate struct{ Name, Note string }

// Complete makes a completion of one argument from live names. It is silent
// when they cannot be had in half a second, and asks at most once in five.
func Complete(f *Factory, names func(context.Context) ([]Candidate, error)) cobra.CompletionFunc {
	f.completions++ // the same number in every run of one program
	kept := remembered{f: f, number: f.completions}
	return func(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
		return complete(f, func(ctx context.Context) ([]Candidate, error) {
			return kept.names(ctx, cmd, names)
		})(cmd, args, word)
	}
}

func complete(f *Factory, names func(context.Context) ([]Candidate, error)) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 || f.Apply(true) != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		parent := cmd.Context()
		if parent == nil {
			parent = context.Background()
		}
		ctx, cancel := context.WithTimeout(parent, completeWithin)
		defer cancel()
		list, err := names(ctx)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		out := make([]string, 0, len(list))
		for _, c := range list[:min(len(list), completeAtMost)] {
			out = append(out, iostreams.Escape(c.Name)+"\t"+iostreams.Escape(c.Note))
		}
		return out, cobra.ShellCompDirectiveNoFileComp
	}
}

// CompleteNamespaces completes to the namespaces of the gateway.
func CompleteNamespaces(f *Factory) cobra.CompletionFunc {
	return Complete(f, func(ctx context.Context) ([]Candidate, error) {
		c, err := f.Admin(ctx)
		if err != nil {
			return nil, err
		}
		r, err := c.ListNamespaces(ctx, &adminv1.ListNamespacesRequest{Limit: completeAtMost})
		if err != nil {
			return nil, err
		}
		var list []Candidate
		for _, n := range r.GetNamespaces() {
			list = append(list, Candidate{n.GetSpec().GetName(), n.GetSpec().GetModel() + " on " + n.GetBoundBackend()})
		}
		return list, nil
	})
}

// CompleteBackends completes to the backends of the gateway.
func CompleteBackends(f *Factory) cobra.CompletionFunc {
	return Complete(f, func(ctx context.Context) ([]Candidate, error) {
		c, err := f.Admin(ctx)
		if err != nil {
			return nil, err
		}
		r, err := c.ListBackends(ctx, &adminv1.ListBackendsRequest{})
		if err != nil {
			return nil, err
		}
		var list []Candidate
		for _, b := range r.GetBackends() {
			list = append(list, Candidate{b.GetName(), b.GetDriver()})
		}
		return list, nil
	})
}

// CompleteSessions completes to the sessions that are open.
func CompleteSessions(f *Factory) cobra.CompletionFunc {
	return Complete(f, func(ctx context.Context) ([]Candidate, error) {
		c, err := f.Admin(ctx)
		if err != nil {
			return nil, err
		}
		r, err := c.ListSessions(ctx, &adminv1.ListSessionsRequest{Limit: completeAtMost})
		if err != nil {
			return nil, err
		}
		var list []Candidate
		for _, s := range r.GetSessions() {
			list = append(list, Candidate{s.GetSessionId(), s.GetPrincipal()})
		}
		return list, nil
	})
}

// CompleteKeys completes to the API keys that are in force.
func CompleteKeys(f *Factory) cobra.CompletionFunc {
	return Complete(f, func(ctx context.Context) ([]Candidate, error) {
		c, err := f.Admin(ctx)
		if err != nil {
			return nil, err
		}
		r, err := c.ListKeys(ctx, &adminv1.ListKeysRequest{})
		if err != nil {
			return nil, err
		}
		var list []Candidate
		for _, k := range r.GetKeys() {
			list = append(list, Candidate{k.GetKeyId(), k.GetPrincipal()})
		}
		return list, nil
	})
}

// CompleteContexts completes to the contexts that can be used here.
func CompleteContexts(f *Factory) cobra.CompletionFunc {
	return complete(f, func(context.Context) ([]Candidate, error) {
		u, err := f.User()
		if err != nil {
			return nil, err
		}
		var list []Candidate
		for _, c := range u.Contexts {
			list = append(list, Candidate{c.Name, c.Data})
		}
		return list, nil
	})
}
