package main

import "context"

func servePebble([]string) {}

func benchPebble(context.Context, *bench) error { return nil }
func benchMemory(context.Context, *bench) error { return nil }
func benchStart(context.Context, *bench) error  { return nil }
