package supervise

import (
	"bytes"
	"io"
	"strings"
	"time"
	"unicode"
)

// NotePrefix begins a line that is a note and not output, when Spec.Notes
// allows them: the NUL keeps it apart from all that a program prints by
// chance. A program in another module has the same constant.
const NotePrefix = "\x00prism-note "

// Bounds of notes: a child may say much, and is read to no harm.
const (
	maxNoteBytes = 400
	noteEvery    = 200 * time.Millisecond // between two events of one service
)

// Note tells the supervisor what the program that calls it is doing: while the
// service is not ready, that is its Message. w is its standard output; an empty
// text takes the last note back. Without a supervisor it is a line like others.
func Note(w io.Writer, text string) error {
	_, err := io.WriteString(w, NotePrefix+oneLine(text)+"\n")
	return err
}

// oneLine makes a note harmless and short: only what can be seen, so that it can
// neither end its line, nor move a terminal's cursor, nor turn its direction.
func oneLine(text string) string {
	text = strings.Join(strings.Fields(strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, text)), " ")
	if len(text) > maxNoteBytes {
		text = text[:maxNoteBytes-len("…")] + "…"
	}
	return strings.ToValidUTF8(text, "")
}

// noteIn is the text of a line that is a note.
func noteIn(line []byte) (text string, ok bool) {
	rest, ok := bytes.CutPrefix(line, []byte(NotePrefix))
	if !ok {
		return "", false
	}
	return oneLine(string(rest)), true
}

// noted takes a note of the running child. The status has it at once, the
// events have at most five a second, the last one among them.
func (s *service) noted(text string) {
	s.sup.mu.Lock()
	defer s.sup.mu.Unlock()
	if s.said == text || s.st.PID == 0 {
		return
	}
	s.said = text
	s.compose()
	if s.st.State.Up() || s.telling {
		return
	}
	s.telling = true
	wait := max(0, noteEvery-s.clk.Now().Sub(s.toldAt))
	go s.tellNote(wait)
}

func (s *service) tellNote(wait time.Duration) {
	t := s.clk.NewTimer(wait)
	defer t.Stop()
	select {
	case <-t.C:
	case <-s.done:
	}
	s.sup.mu.Lock()
	s.telling, s.toldAt = false, s.clk.Now()
	e := Event{Time: s.toldAt, Service: s.spec.Name, State: s.st.State, PID: s.st.PID, Message: s.st.Message}
	up := s.st.State.Up()
	s.sup.mu.Unlock()
	if !up {
		s.sup.events.send(e, nil)
	}
}

// compose makes the message of what we say of the service, what it says itself
// and what its build says. sup.mu is held.
func (s *service) compose() {
	var parts []string
	add := func(text string) {
		if text != "" {
			parts = append(parts, text)
		}
	}
	switch st := s.st.State; {
	case st.Up():
	case s.said == "":
		add(s.why)
	case st == Starting && s.st.PID != 0, st == Stopping:
		add(s.said) // it knows better what it waits for
	default:
		add(s.why)
		add("its last word: " + s.said)
	}
	add(s.built)
	s.st.Message = strings.Join(parts, "; ")
}

// listener is who hears the notes; nil if the spec allows none.
func (s *service) listener() func(string) {
	if !s.spec.Notes {
		return nil
	}
	return s.noted
}
