package supervise

import "os/exec"

// Detach makes cmd, before it is started, independent of our terminal: no
// Ctrl-C and no hang-up reaches it. `dev up --detach` starts its supervisor so.
func Detach(cmd *exec.Cmd) { detachFromTerminal(cmd) }
