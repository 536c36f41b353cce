// Package auth answers one question: who is calling. It turns a credential
// into a [Principal], which nothing else can make, and refuses everything that
// it does not know.
//
// package server puts an [Authenticator] together; the road of the gateway and
// of the admin service call it first, on every call.
package auth
