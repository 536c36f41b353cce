package main

import (
	"fmt"
	"html"
	"image/color"
	"strings"

	"github.com/charmbracelet/x/vt"
)

// The attributes of a cell, as the emulator keeps them.
const (
	attrBold    = 1 << 0
	attrReverse = 1 << 5
)

// A cell is a character as the terminal shows it.
type cell struct {
	text    string
	width   int
	fg, bg  string // "#rrggbb"; "": the terminal's own
	bold    bool
	reverse bool
}

// A grid is a screen.
type grid struct {
	w, h  int
	cells [][]cell
}

func gridOf(e *vt.Emulator, w, h int) *grid {
	g := &grid{w: w, h: h, cells: make([][]cell, h)}
	for y := range h {
		for x := 0; x < w; {
			c := cell{text: " ", width: 1}
			if at := e.CellAt(x, y); at != nil && at.Content != "" {
				c.text, c.width = at.Content, max(at.Width, 1)
				c.fg, c.bg = hex(at.Style.Fg), hex(at.Style.Bg)
				c.bold, c.reverse = at.Style.Attrs&attrBold != 0, at.Style.Attrs&attrReverse != 0
			}
			g.cells[y] = append(g.cells[y], c)
			x += c.width
		}
	}
	return g
}

func hex(c color.Color) string {
	if c == nil {
		return ""
	}
	r, g, b, _ := c.RGBA()
	return fmt.Sprintf("#%02x%02x%02x", r>>8, g>>8, b>>8)
}

func (g *grid) text() string {
	var b strings.Builder
	for _, line := range g.cells {
		var l strings.Builder
		for _, c := range line {
			l.WriteString(c.text)
		}
		b.WriteString(strings.TrimRight(l.String(), " ") + "\n")
	}
	return b.String()
}

// The size of a cell, in pixels.
const (
	cellWidth  = 8.4
	cellHeight = 18
	margin     = 12
)

// svg draws the screen: a run of cells of one look is one text, as wide as its
// cells, whatever font there is.
func (g *grid) svg(title string, light bool) string {
	paper, ink := "#1e1e1e", "#d6dde6"
	if light {
		paper, ink = "#fafafa", "#24292f"
	}
	width, height := float64(g.w)*cellWidth+2*margin, float64(g.h)*cellHeight+2*margin
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %.0f" width="%.0f" height="%.0f" role="img" aria-label="%s">`+"\n", width, height, width, height, html.EscapeString(title))
	fmt.Fprintf(&b, `<title>%s</title><rect width="100%%" height="100%%" rx="8" fill="%s"/>`+"\n", html.EscapeString(title), paper)
	fmt.Fprintf(&b, `<g font-family="ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace" font-size="14" fill="%s" xml:space="preserve">`+"\n", ink)
	for y, line := range g.cells {
		x := 0
		for i := 0; i < len(line); {
			first, text, cells := line[i], "", 0
			for i < len(line) && line[i].fg == first.fg && line[i].bg == first.bg && line[i].bold == first.bold && line[i].reverse == first.reverse {
				text += line[i].text
				cells += line[i].width
				i++
			}
			run(&b, first, text, x, y, cells, paper, ink)
			x += cells
		}
	}
	b.WriteString("</g></svg>\n")
	return b.String()
}

func run(b *strings.Builder, c cell, text string, x, y, cells int, paper, ink string) {
	fg, bg := c.fg, c.bg
	if c.reverse {
		fg, bg = bg, fg
		if fg == "" {
			fg = paper
		}
		if bg == "" {
			bg = ink
		}
	}
	left, top := margin+float64(x)*cellWidth, margin+float64(y)*cellHeight
	if bg != "" {
		fmt.Fprintf(b, `<rect x="%.1f" y="%.1f" width="%.1f" height="%d" fill="%s"/>`+"\n", left, top, float64(cells)*cellWidth, cellHeight, bg)
	}
	trimmed := strings.TrimRight(text, " ")
	if trimmed == "" {
		return
	}
	cells -= len(text) - len(trimmed)
	look := ""
	if fg != "" {
		look += fmt.Sprintf(` fill="%s"`, fg)
	}
	if c.bold {
		look += ` font-weight="bold"`
	}
	fmt.Fprintf(b, `<text x="%.1f" y="%.1f" textLength="%.1f" lengthAdjust="spacingAndGlyphs"%s>%s</text>`+"\n",
		left, top+cellHeight-5, float64(cells)*cellWidth, look, html.EscapeString(trimmed))
}
