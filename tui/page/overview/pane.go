package overview

import (
	"strings"

	"github.com/prism-data-layer/prism/tui/component/cell"
	"github.com/prism-data-layer/prism/tui/component/figure"
	"github.com/prism-data-layer/prism/tui/component/pane"
	"github.com/prism-data-layer/prism/tui/component/rates"
	"github.com/prism-data-layer/prism/tui/component/table"
	"github.com/prism-data-layer/prism/tui/component/text"
	"github.com/prism-data-layer/prism/tui/theme"
)

// A part is a pane and what fills it.
type part struct {
	pane.Pane
	part    Part
	noun    string // of prismctl, and the name of the page of one
	command string
	rows    func(p *part, s *Snapshot, c rates.Change) []table.Row
}

func newParts(command string) []*part {
	return []*part{
		{
			part: PartNamespaces, noun: "namespace", command: command,
			Pane: pane.Pane{
				Title: "Namespaces",
				Empty: []string{"no namespaces yet", "make one: " + command + " namespace create orders"},
				Table: table.New(
					table.Column{Title: "NAME", Min: 10, Max: 40},
					table.Column{Title: "MODEL", Min: 8, Max: 14, Drop: 3},
					table.Column{Title: "BACKEND", Min: 8, Max: 24, Drop: 4},
					table.Column{Title: "STATE", Min: 10, Max: 16},
					table.Column{Title: "OPS/S", Min: 8, Right: true},
					table.Column{Title: "P50", Min: 7, Right: true, Drop: 2},
					table.Column{Title: "P99", Min: 7, Right: true, Drop: 1},
					table.Column{Title: "KEYS", Min: 9, Right: true, Drop: 5},
				),
			},
			rows: namespaceRows,
		},
		{
			part: PartBackends, noun: "backend", command: command,
			Pane: pane.Pane{
				Title: "Backends",
				Empty: []string{"no backends are configured", "name one under backends: in the gateway's file, then: " + command + " backend list"},
				Table: table.New(
					table.Column{Title: "NAME", Min: 10, Max: 32},
					table.Column{Title: "DRIVER", Min: 8, Max: 14, Drop: 3},
					table.Column{Title: "HEALTH", Min: 11, Max: 14},
					table.Column{Title: "LATENCY", Min: 8, Right: true, Drop: 1},
					table.Column{Title: "DURABILITY", Min: 11, Max: 28, Drop: 4},
					table.Column{Title: "ERROR", Min: 10, Drop: 2},
				),
			},
			rows: backendRows,
		},
		{
			part: PartSessions, noun: "session", command: command,
			Pane: pane.Pane{
				Title: "Sessions",
				Empty: []string{"no sessions", "a client makes one with its first call: " + command + " kv set greeting hello"},
				Table: table.New(
					table.Column{Title: "ID", Min: 14, Max: 40},
					table.Column{Title: "PRINCIPAL", Min: 10, Max: 32},
					table.Column{Title: "CLIENT", Min: 8, Max: 28, Drop: 3},
					table.Column{Title: "STATUS", Min: 10, Max: 16, Drop: 1},
					table.Column{Title: "SINCE", Min: 5, Right: true, Drop: 4},
					table.Column{Title: "LAST", Min: 5, Right: true, Drop: 2},
					table.Column{Title: "REQUESTS", Min: 8, Right: true, Drop: 5},
				),
			},
			rows: sessionRows,
		},
	}
}

// fill gives the pane the rows of a snapshot. What could not be asked for
// keeps its last rows.
func (p *part) fill(s *Snapshot, c rates.Change) {
	p.Problem = s.Problems[p.part]
	if p.Problem != nil {
		return
	}
	p.More = s.More[p.part]
	p.Table.SetRows(p.rows(p, s, c))
}

// describe is the command that shows one row.
func (p *part) describe(id string) string {
	return p.command + " " + p.noun + " describe " + text.Quote(id)
}

func namespaceRows(p *part, s *Snapshot, c rates.Change) []table.Row {
	rows := make([]table.Row, 0, len(s.Namespaces))
	counts := map[string]int{}
	for _, n := range s.Namespaces {
		counts[n.State]++
		r, keysOf, ops := c.Of[n.Name], cell.None(), cell.None()
		if !r.Known && c.Total.Known { // it has not been called since the start
			r.Known = true
		}
		if r.Known {
			ops = table.Cell{Text: figure.Rate(r.PerSecond), Order: r.PerSecond}
		}
		if n.KeysKnown {
			keysOf = cell.Number(n.Keys)
			if n.Estimated {
				keysOf.Text = "~" + keysOf.Text
			}
		}
		rows = append(rows, table.Row{ID: n.Name, Command: p.describe(n.Name), Cells: []table.Cell{
			cell.Words(n.Name), cell.Words(n.Model), cell.Words(n.Backend), cell.State(n.State), ops, cell.Latency(r.P50, r.Timed), cell.Latency(r.P99, r.Timed), keysOf,
		}})
	}
	p.Tally(counts)
	return rows
}

func backendRows(p *part, s *Snapshot, _ rates.Change) []table.Row {
	rows := make([]table.Row, 0, len(s.Backends))
	counts := map[string]int{}
	for _, b := range s.Backends {
		counts[b.Health]++
		problem := cell.Words(b.Error)
		problem.Role = theme.Bad
		rows = append(rows, table.Row{ID: b.Name, Command: p.describe(b.Name), Cells: []table.Cell{
			cell.Words(b.Name), cell.Words(b.Driver), cell.State(b.Health),
			{Text: figure.Probe(b.Latency), Order: float64(b.Latency)},
			cell.Words(b.Durability), problem,
		}})
	}
	p.Tally(counts)
	return rows
}

func sessionRows(p *part, s *Snapshot, _ rates.Change) []table.Row {
	rows := make([]table.Row, 0, len(s.Sessions))
	counts := map[string]int{}
	for _, x := range s.Sessions {
		counts[strings.ReplaceAll(x.Status, "_", " ")]++
		rows = append(rows, table.Row{ID: x.ID, Command: p.describe(x.ID), Cells: []table.Cell{
			cell.Words(x.ID), cell.Words(x.Principal), cell.Words(x.Client), cell.State(x.Status), cell.At(x.Created, s.Now), cell.At(x.Active, s.Now), cell.Number(x.Requests),
		}})
	}
	p.Tally(counts)
	return rows
}
