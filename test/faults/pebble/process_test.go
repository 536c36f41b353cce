package faults_test

import "testing"

// F1: SIGKILL during 16 concurrent writers, on one folder that is kept.
func TestFault_F1_Kill(t *testing.T) { store().F1(t, seedOf(t)) }

// F2: power cut, and the control without fsync, which must lose.
func TestFault_F2_PowerCut(t *testing.T) { store().F2(t, seedOf(t)) }
