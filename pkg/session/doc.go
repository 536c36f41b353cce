// Package session gives a principal a time-limited hold on the gateway. A
// session has a public id and a secret token; a caller that brings only a
// credential gets an implicit session. The road of the gateway calls
// [Manager.Open] after package auth; the session and admin services call the
// rest.
package session
