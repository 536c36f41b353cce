package iostreams

import "io"

// Aside is streams for a command that runs inside another one: with the same
// environment and clock, but no terminal and nobody to ask. What the command
// waits for is told to say, as it comes.
func (s *IOStreams) Aside(in io.Reader, out, errOut io.Writer, say func(string)) *IOStreams {
	a := &IOStreams{In: in, look: s.look, clock: s.clock, noInput: true, noPager: true, told: say, start: s.start}
	a.size = func() (int, int) { return 0, 0 }
	a.wire(out, errOut)
	return a
}

// tell passes on how a progress stands. The lock of the streams is held.
func (p *Progress) tell(line string) {
	if p.s.told != nil {
		p.s.told(line)
	}
}
