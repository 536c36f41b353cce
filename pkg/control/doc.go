// Package control is the control store of a gateway: one SQLite file with its
// namespaces and their bindings and history, client configurations, backends,
// API keys, sessions, the audit trail, operations, the state of patterns, and
// its own secrets. No data of a namespace is in it.
//
// package server opens it; admin and route work with it. It implements
// auth.Keys and session.Store.
//
// What a method has answered is on the disk: the file is a WAL with synchronous
// FULL. Writes that wait for the disk together are committed together. The
// audit trail alone is written behind its callers, never dropped, and flushed
// by Close.
package control
