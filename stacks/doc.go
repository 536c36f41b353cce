// Package stacks knows what can run beside a gateway on a developer's machine:
// stores, an identity provider, telemetry.
//
// A stack is a folder of the catalogue: stack.yaml says what it is, what it
// listens on, how to ask whether it works and what it offers; compose.yaml
// says how its containers run. Where there is no container engine, a stack may
// have a native form: a program of this machine.
//
// Either form is one service of package supervise, a process of ours: natively
// the program itself, with containers the runner (package engine), which brings
// them up, copies their logs, and takes them down when it is told to stop. So
// states, logs, restarts, order and "nothing is left behind" have one
// implementation, and a stack differs from any other service by its Spec alone.
package stacks
