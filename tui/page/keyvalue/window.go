package keyvalue

// Of any number of keys a few pages are held: those around the cursor.
const (
	pageSize = 500
	maxPages = 4
	near     = 100 // rows from an end of the window at which the next page is asked for
)

// A window is consecutive pages of the keys.
type window struct {
	prefix string
	pages  []Page
	first  int      // the number of pages[0]
	starts []string // the cursor of each page that was ever reached
}

func newWindow() *window { return &window{starts: []string{""}} }

// want is the page to ask for while the cursor is at a row: one that is missing
// near it, else the one that it is in, for news.
func (w *window) want(row int) (index int, missing bool) {
	n := w.rows()
	switch last := len(w.pages) - 1; {
	case last < 0:
		return 0, true
	case row >= n-near && w.pages[last].Next != "":
		return w.first + last + 1, true
	case row < near && w.first > 0:
		return w.first - 1, true
	}
	for i, p := range w.pages {
		if row < len(p.Keys) {
			return w.first + i, false
		}
		row -= len(p.Keys)
	}
	return w.first + len(w.pages) - 1, false
}

func (w *window) rows() (n int) {
	for _, p := range w.pages {
		n += len(p.Keys)
	}
	return n
}

// before is how many rows lie before the window, of those that were seen.
func (w *window) before() int { return w.first * pageSize }

// fill takes an answer.
func (w *window) fill(p Page) {
	at := p.of.index - w.first
	switch {
	case at == len(w.pages):
		w.pages = append(w.pages, p)
		if len(w.pages) > maxPages {
			w.pages = w.pages[1:]
			w.first++
		}
	case at == -1:
		// Keys may have come and gone since: none is shown twice.
		for n := len(p.Keys); n > 0 && p.Keys[n-1].Name >= w.pages[0].head(); n-- {
			p.Keys = p.Keys[:n-1]
		}
		w.pages = append([]Page{p}, w.pages...)
		w.pages = w.pages[:min(len(w.pages), maxPages)]
		w.first--
	case at >= 0 && at < len(w.pages):
		if old := w.pages[at]; old.tail() != p.tail() || (old.Next == "") != (p.Next == "") {
			w.pages = w.pages[:at+1] // what follows begins elsewhere now
		}
		w.pages[at] = p
	default:
		return // the window has moved on
	}
	if p.of.index+1 == len(w.starts) {
		w.starts = append(w.starts, p.Next)
	} else {
		w.starts[p.of.index+1] = p.Next
	}
}

func (p Page) head() string {
	if len(p.Keys) == 0 {
		return "\xff\xff\xff\xff"
	}
	return p.Keys[0].Name
}

func (p Page) tail() string {
	if len(p.Keys) == 0 {
		return ""
	}
	return p.Keys[len(p.Keys)-1].Name
}
