package iostreams

import (
	"fmt"
	"sync"
	"time"

	"github.com/clipperhouse/displaywidth"
)

// When progress shows itself: quick work is not announced, and slow work says
// what it last heard.
const (
	progressDelay  = 300 * time.Millisecond
	progressFrame  = 100 * time.Millisecond
	progressDetail = 10 * time.Second
)

// A Progress tells a waiting person what is being waited for, and how long it
// has taken: one line that is redrawn on a terminal, one plain line for each
// phase everywhere else. A nil Progress does nothing.
type Progress struct {
	s        *IOStreams
	animated bool

	label   string
	measure func() string // how far it has come; nil: nobody knows
	detail  string
	started time.Time
	drawn   bool
	said    bool // the present label was written as a plain line

	stop func()
}

// Animated reports whether ErrOut may be redrawn: a terminal, not CI, and no
// wish for words instead of movement.
func (s *IOStreams) Animated() bool {
	return s.tty[Err] && !s.IsCI() && s.Env("PRISM_NO_SPINNER") == "" && s.Env("TERM") != "dumb"
}

// StartProgress begins to wait for label, shown after 300 ms. Call Stop.
// Only one progress is shown at a time; a second one is nil.
func (s *IOStreams) StartProgress(label string) *Progress {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.progress != nil {
		return nil
	}
	quit, done := make(chan struct{}), make(chan struct{})
	p := &Progress{s: s, animated: s.Animated(), label: label, started: s.Now()}
	p.stop = sync.OnceFunc(func() {
		close(quit)
		<-done
	})
	s.progress = p
	p.tell(label)
	timer := s.clock.NewTimer(progressDelay)
	go func() {
		defer close(done)
		for frame := 0; ; frame++ {
			select {
			case <-quit:
				timer.Stop()
				return
			case <-timer.C:
			}
			if !p.tick(frame) {
				return
			}
			timer = s.clock.NewTimer(progressFrame)
		}
	}()
	return p
}

// Phase says that the next step has begun.
func (p *Progress) Phase(label string) {
	if p == nil {
		return
	}
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	p.label, p.measure, p.detail, p.started, p.said = label, nil, "", p.s.Now(), false
	p.tell(label)
	if !p.animated {
		p.say()
	}
}

// Measure asks how far this phase has come each time it is drawn; how must not
// print.
func (p *Progress) Measure(how func() string) {
	if p == nil {
		return
	}
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	p.measure = how
}

// Detail is the last thing heard from what is waited for; shown when the step
// takes longer than ten seconds.
func (p *Progress) Detail(line string) {
	if p == nil {
		return
	}
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	p.detail = Escape(line)
	p.tell(p.label + "  " + p.detail)
}

// Stop takes the progress line away.
func (p *Progress) Stop() {
	if p == nil {
		return
	}
	p.stop()
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	p.erase()
	p.s.progress = nil
}

// tick draws one frame; false when there is nothing more to draw.
func (p *Progress) tick(frame int) bool {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	if !p.animated {
		p.say()
		return false // later phases speak for themselves
	}
	glyphs := p.s.Symbols().Spinner
	elapsed := p.s.Now().Sub(p.started)
	line := fmt.Sprintf("%s %s %s", glyphs[frame%len(glyphs)], p.label, elapsed.Truncate(time.Second))
	if p.measure != nil {
		line += "  " + Escape(p.measure())
	}
	if elapsed >= progressDetail && p.detail != "" {
		line += "  " + p.detail
	}
	width := defaultWidth
	if w, _ := p.s.size(); w > 0 {
		width = w
	}
	line = displaywidth.TruncateString(line, width-1, p.s.Symbols().Ellipsis)
	p.raw("\r\x1b[K" + line)
	p.drawn = true
	return true
}

func (p *Progress) say() {
	if !p.said {
		p.raw(p.label + "\n")
		p.said = true
	}
}

func (p *Progress) erase() {
	if p.drawn {
		p.raw("\r\x1b[K")
		p.drawn = false
	}
}

// raw writes past the errWriter, whose lock is held.
func (p *Progress) raw(text string) {
	if e, ok := p.s.ErrOut.(*errWriter); ok {
		_, _ = e.w.Write([]byte(text))
	}
}
