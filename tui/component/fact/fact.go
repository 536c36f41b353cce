// Package fact is a pane of what is known of one thing: a name and a value a
// line, in an order that stays.
package fact

import (
	"strconv"

	"github.com/prism-data-layer/prism/tui/component/cell"
	"github.com/prism-data-layer/prism/tui/component/pane"
	"github.com/prism-data-layer/prism/tui/component/table"
	"github.com/prism-data-layer/prism/tui/component/text"
	"github.com/prism-data-layer/prism/tui/theme"
)

// A Fact is one line.
type Fact struct {
	Name, Value string
	Role        theme.Role
}

// Of is a fact in plain colour.
func Of(name, value string) Fact { return Fact{Name: name, Value: value} }

// State is a fact that is well or not, by its word.
func State(name, word string) Fact {
	c := cell.State(word)
	return Fact{name, c.Text, c.Role}
}

// NewPane makes a pane of facts.
func NewPane(title string, empty ...string) *pane.Pane {
	return &pane.Pane{Title: title, Empty: empty, Table: table.New(
		table.Column{Title: "WHAT", Min: 10, Max: 24},
		table.Column{Title: "VALUE", Min: 20},
	)}
}

// Fill shows the facts that have a value. Each has the command that shows the
// thing.
func Fill(p *pane.Pane, command string, facts []Fact) {
	rows := make([]table.Row, 0, len(facts))
	for i, f := range facts {
		if f.Value == "" {
			continue
		}
		rows = append(rows, table.Row{ID: f.Name + " " + strconv.Itoa(i), Command: command, Cells: []table.Cell{
			{Text: text.Clean(f.Name), Role: theme.Faint}, {Text: text.Clean(f.Value), Role: f.Role},
		}})
	}
	p.Table.SetRows(rows)
}
