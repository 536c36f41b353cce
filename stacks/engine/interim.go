package engine

import "time"

// RunArgs are the arguments with which the runner does what a request says.
func RunArgs(requestFile string) []string { return []string{"run", "--request", requestFile} }

// WriteRequest writes a request for the runner.
func WriteRequest(file string, p Project, stop time.Duration) error { return nil }
