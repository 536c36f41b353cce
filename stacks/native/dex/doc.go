// Package dex pins Dex, the identity provider that stack "dex" runs: go.mod says
// which, tools/dex.sh builds it, and the tests here ask the built program.
package dex
