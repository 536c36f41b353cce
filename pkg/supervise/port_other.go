//go:build !linux

package supervise

// Who holds a port can only be seen on Linux so far: lsof or netstat know.
func findHolder(string) holder                { return holder{} }
func holderOfTwin(string) (h holder, ok bool) { return holder{}, false }
