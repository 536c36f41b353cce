package tui

import "maps"

// State is what is kept from one start to the next.
type State struct {
	// Seen says that the person has found the keys: the hint for the first start
	// is gone.
	Seen    bool                         `json:"seen,omitempty"`
	View    string                       `json:"view,omitempty"` // the last page, with what it is about
	Theme   string                       `json:"theme,omitempty"`
	History []string                     `json:"history,omitempty"` // of the palette, the newest first
	Pages   map[string]map[string]string `json:"pages,omitempty"`   // what pages keep, by name
}

// State is what is to be kept now.
func (m *Model) State() State {
	s := m.state
	s.Pages = maps.Clone(m.state.Pages)
	if s.Pages == nil {
		s.Pages = map[string]map[string]string{}
	}
	for _, p := range m.pages {
		if kept := p.page.Memory(); len(kept) > 0 {
			s.Pages[p.name] = kept
		}
	}
	s.View = m.top().crumb()
	return s
}
