package overview

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/prism-data-layer/prism/tui/component/figure"
	"github.com/prism-data-layer/prism/tui/component/rates"
	"github.com/prism-data-layer/prism/tui/component/table"
	"github.com/prism-data-layer/prism/tui/component/text"
	"github.com/prism-data-layer/prism/tui/theme"
)

// A pane is a titled table.
type pane struct {
	part    Part
	title   string
	noun    string // of prismctl
	command string
	empty   []string // why there may be nothing, and what to run
	table   *table.Model
	rows    func(p *pane, s *Snapshot, c rates.Change) []table.Row

	summary string // "1 degraded"; "" when all is well
	role    theme.Role
	more    int64
	problem error
}

func newPanes(command string) []pane {
	return []pane{
		{
			part: PartNamespaces, title: "Namespaces", noun: "namespace", command: command,
			empty: []string{"no namespaces yet", "make one: " + command + " namespace create orders"},
			table: table.New(
				table.Column{Title: "NAME", Min: 10, Max: 40},
				table.Column{Title: "MODEL", Min: 8, Max: 14, Drop: 3},
				table.Column{Title: "BACKEND", Min: 8, Max: 24, Drop: 4},
				table.Column{Title: "STATE", Min: 10, Max: 16},
				table.Column{Title: "OPS/S", Min: 8, Right: true},
				table.Column{Title: "P50", Min: 7, Right: true, Drop: 2},
				table.Column{Title: "P99", Min: 7, Right: true, Drop: 1},
				table.Column{Title: "KEYS", Min: 9, Right: true, Drop: 5},
			),
			rows: namespaceRows,
		},
		{
			part: PartBackends, title: "Backends", noun: "backend", command: command,
			empty: []string{"no backends are configured", "name one under backends: in the gateway's file, then: " + command + " backend list"},
			table: table.New(
				table.Column{Title: "NAME", Min: 10, Max: 32},
				table.Column{Title: "DRIVER", Min: 8, Max: 14, Drop: 3},
				table.Column{Title: "HEALTH", Min: 11, Max: 14},
				table.Column{Title: "LATENCY", Min: 8, Right: true, Drop: 1},
				table.Column{Title: "DURABILITY", Min: 11, Max: 28, Drop: 4},
				table.Column{Title: "ERROR", Min: 10, Drop: 2},
			),
			rows: backendRows,
		},
		{
			part: PartSessions, title: "Sessions", noun: "session", command: command,
			empty: []string{"no sessions", "a client makes one with its first call: " + command + " kv set greeting hello"},
			table: table.New(
				table.Column{Title: "ID", Min: 14, Max: 40},
				table.Column{Title: "PRINCIPAL", Min: 10, Max: 32},
				table.Column{Title: "CLIENT", Min: 8, Max: 28, Drop: 3},
				table.Column{Title: "STATUS", Min: 10, Max: 16, Drop: 1},
				table.Column{Title: "AGE", Min: 4, Right: true, Drop: 4},
				table.Column{Title: "ACTIVE", Min: 6, Right: true, Drop: 2},
				table.Column{Title: "REQUESTS", Min: 8, Right: true, Drop: 5},
			),
			rows: sessionRows,
		},
	}
}

// fill gives the pane the rows of a snapshot. What could not be asked for
// keeps its last rows.
func (p *pane) fill(s *Snapshot, c rates.Change) {
	p.problem = s.Problems[p.part]
	if p.problem != nil {
		return
	}
	p.summary, p.role, p.more = "", theme.Plain, s.More[p.part]
	p.table.SetRows(p.rows(p, s, c))
}

// describe is the command that shows one row.
func (p *pane) describe(id string) string {
	return p.command + " " + p.noun + " describe " + text.Quote(id)
}

// worst counts the rows that are not well, by their word.
func (p *pane) tally(counts map[string]int, role func(string) theme.Role) {
	var words []string
	for word := range counts {
		if r := role(word); r == theme.Bad || r == theme.Warn {
			words = append(words, word)
			p.role = max(p.role, r)
		}
	}
	slices.Sort(words)
	for i, word := range words {
		words[i] = fmt.Sprintf("%d %s", counts[word], word)
	}
	p.summary = strings.Join(words, ", ")
}

// wellness says by word how good a state is.
func wellness(word string) theme.Role {
	switch word {
	case "active", "healthy":
		return theme.Good
	case "degraded", "expiring", "read only", "deleting", "terminating":
		return theme.Warn
	case "unhealthy":
		return theme.Bad
	}
	return theme.Faint
}

// state is a glyph, a word and a colour: any one of them is enough.
func state(word string) table.Cell {
	word = text.Clean(strings.ReplaceAll(word, "_", " "))
	role := wellness(word)
	glyph := "◌"
	switch role {
	case theme.Good:
		glyph = "✓"
	case theme.Warn:
		glyph = "!"
	case theme.Bad:
		glyph = "✗"
	}
	return table.Cell{Text: glyph + " " + word, Role: role}
}

func words(s string) table.Cell { return table.Cell{Text: text.Clean(s)} }

func number(n int64) table.Cell { return table.Cell{Text: figure.Count(n), Order: float64(n)} }

func none() table.Cell {
	return table.Cell{Text: figure.None, Role: theme.Faint, Order: math.NaN()}
}

func latency(d time.Duration, known bool) table.Cell {
	if !known {
		return none()
	}
	return table.Cell{Text: figure.Latency(d), Order: float64(d)}
}

func namespaceRows(p *pane, s *Snapshot, c rates.Change) []table.Row {
	rows := make([]table.Row, 0, len(s.Namespaces))
	counts := map[string]int{}
	for _, n := range s.Namespaces {
		counts[n.State]++
		r, keysOf, ops := c.Of[n.Name], none(), none()
		if !r.Known && c.Total.Known { // it has not been called since the start
			r.Known = true
		}
		if r.Known {
			ops = table.Cell{Text: figure.Rate(r.PerSecond), Order: r.PerSecond}
		}
		if n.KeysKnown {
			keysOf = number(n.Keys)
			if n.Estimated {
				keysOf.Text = "~" + keysOf.Text
			}
		}
		rows = append(rows, table.Row{ID: n.Name, Command: p.describe(n.Name), Cells: []table.Cell{
			words(n.Name), words(n.Model), words(n.Backend), state(n.State), ops, latency(r.P50, r.Timed), latency(r.P99, r.Timed), keysOf,
		}})
	}
	p.tally(counts, wellness)
	return rows
}

func backendRows(p *pane, s *Snapshot, _ rates.Change) []table.Row {
	rows := make([]table.Row, 0, len(s.Backends))
	counts := map[string]int{}
	for _, b := range s.Backends {
		counts[b.Health]++
		problem := words(b.Error)
		problem.Role = theme.Bad
		rows = append(rows, table.Row{ID: b.Name, Command: p.describe(b.Name), Cells: []table.Cell{
			words(b.Name), words(b.Driver), state(b.Health),
			{Text: figure.Probe(b.Latency), Order: float64(b.Latency)},
			words(b.Durability), problem,
		}})
	}
	p.tally(counts, wellness)
	return rows
}

func sessionRows(p *pane, s *Snapshot, _ rates.Change) []table.Row {
	rows := make([]table.Row, 0, len(s.Sessions))
	counts := map[string]int{}
	for _, x := range s.Sessions {
		counts[strings.ReplaceAll(x.Status, "_", " ")]++
		rows = append(rows, table.Row{ID: x.ID, Command: p.describe(x.ID), Cells: []table.Cell{
			words(x.ID), words(x.Principal), words(x.Client), state(x.Status), since(x.Created, s.Now), since(x.Active, s.Now), number(x.Requests),
		}})
	}
	p.tally(counts, wellness)
	return rows
}

func since(t, now time.Time) table.Cell {
	if t.IsZero() {
		return none()
	}
	d := now.Sub(t)
	return table.Cell{Text: figure.Age(d), Order: float64(d)}
}
