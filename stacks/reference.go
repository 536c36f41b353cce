package stacks

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/prism-data-layer/prism/stacks/probe"
)

// Reference writes the page of the catalogue. make generate keeps it in
// docs/stacks.md.
func Reference() (string, error) {
	list, err := Catalog()
	if err != nil {
		return "", err
	}
	var b strings.Builder
	b.WriteString(preface)
	b.WriteString("| stack | what it is | native form | ports | memory | images on disk |\n|---|---|---|---|---|---|\n")
	for _, s := range list {
		native := "none"
		if s.Native != nil {
			native = "`" + s.Native.Programs[0] + "`"
		}
		fmt.Fprintf(&b, "| [%s](#%s) | %s | %s | %s | %s | %s |\n", s.Name, s.Name, s.About, native, portList(s.Ports), s.Memory, s.Disk)
	}
	for _, s := range list {
		s.section(&b)
	}
	return b.String(), nil
}

func (s *Stack) section(b *strings.Builder) {
	fmt.Fprintf(b, "\n## %s\n\n%s.", s.Name, s.About)
	if len(s.After) > 0 {
		fmt.Fprintf(b, " It needs %s.", strings.Join(s.After, ", "))
	}
	if len(s.Covers) > 0 {
		fmt.Fprintf(b, " Where it runs, %s is left out: it does its work.", strings.Join(s.Covers, ", "))
	}
	fmt.Fprintf(b, "\n\n- Ready when %s is answered, within %s.\n", probe.Says(s.Probe.Kind), s.Probe.Timeout)
	if len(s.Secrets) > 0 {
		fmt.Fprintf(b, "- Secrets, made once for the project: %s.\n", strings.Join(s.Secrets, ", "))
	}
	if len(s.Env) > 0 {
		fmt.Fprintf(b, "- `prismctl dev env` prints %s.\n", codes(slices.Sorted(maps.Keys(s.Env))))
	}
	if s.Backend != nil {
		fmt.Fprintf(b, "- The gateway gets a backend `%s` on the driver `%s`.\n", s.Name, s.Backend.Driver)
	}
	if len(s.Gateway) > 0 {
		fmt.Fprintf(b, "- prismd gets %s.\n", codes(slices.Sorted(maps.Keys(s.Gateway))))
	}
	for _, i := range s.Images {
		fmt.Fprintf(b, "- Image `%s`: `%s`, chosen on %s, due %s.\n", i.Name, i.Image, i.Updated, i.Every)
		for _, note := range i.Breaking {
			fmt.Fprintf(b, "  Note: %s.\n", note)
		}
	}
	if n := s.Native; n != nil {
		fmt.Fprintf(b, "- Natively `%s` (or `%s`): %s.", strings.Join(n.Programs, "`, `"), n.Variable, n.Hint)
		if n.Declared("ports") && len(n.Ports) == 0 {
			b.WriteString(" It listens on a Unix socket.")
		} else if n.Declared("ports") {
			fmt.Fprintf(b, " Its ports: %s.", portList(n.Ports))
		}
		b.WriteString("\n")
	}
	if s.Missing != "" {
		fmt.Fprintf(b, "- Never run by its tests: %s.\n", strings.TrimSpace(s.Missing))
	}
}

func portList(ports []Port) string {
	list := make([]string, len(ports))
	for i, p := range ports {
		list[i] = fmt.Sprintf("%s %d", p.Name, p.Port)
	}
	return strings.Join(list, ", ")
}

func codes(names []string) string { return "`" + strings.Join(names, "`, `") + "`" }

const preface = `# Stacks

What ` + "`prismctl dev up --with NAME,…`" + ` starts beside the gateway. Each runs, stops and is reset on its own; its networks and volumes are the project's.

**Forms.** ` + "`--form auto`" + ` runs a stack in containers where a container engine answers, else natively: as a program of this machine, which is looked for where its variable
says, in the folder of native programs, and on PATH. What has neither here is skipped, with the reason and the command that gets it.

**Ports** are on 127.0.0.1 only. ` + "`--port NAME=N`" + ` or ` + "`--port NAME.PORT=N`" + ` chooses one, ` + "`--port-offset N`" + ` moves all, ` + "`--auto-ports`" + ` lets the system choose and keeps the choice as long as it is free.

**Data.** Natively in ` + "`.prism/NAME`" + ` of the project's folder, in containers in volumes of the project.

**Secrets** are made once for each project, in ` + "`stacks/NAME`" + ` of the project's state folder, for its owner's eyes. What a container reads lies there too, with a mode that the container's user can
read: the folder around it keeps others out.

**Images** are pinned. ` + "`prismctl dev versions`" + ` compares, ` + "`prismctl dev update NAME`" + ` tries another and goes back if it does not work.

Memory is the sum of the limits of a stack's containers. All support services together (signoz, dex, otel-collector) stay below 3 GB.

`
