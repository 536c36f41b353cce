// Package cli is what the commands of prismctl share: the factory that gives
// them their dependencies when they ask, one description of each kind of thing
// from which every output format is made, one way to print an error, and one
// switch from an error to an exit code.
//
// A command lives in a file of its own under the folder of its noun:
// pkg/cli/namespace/list.go is `prismctl namespace list`.
package cli
