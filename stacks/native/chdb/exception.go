package main

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// An exception is an error as a ClickHouse server tells it.
type exception struct {
	code int
	text string // whole, with its code
}

func (e *exception) Error() string { return e.text }

// A kind is a code of ClickHouse's and its name.
type kind struct {
	code int
	name string
}

// What the bridge itself refuses.
var (
	badArguments         = kind{36, "BAD_ARGUMENTS"}
	notImplemented       = kind{48, "NOT_IMPLEMENTED"}
	syntaxError          = kind{62, "SYNTAX_ERROR"}
	tooManyQueries       = kind{202, "TOO_MANY_SIMULTANEOUS_QUERIES"}
	queryTooLarge        = kind{223, "QUERY_IS_TOO_LARGE"}
	sessionNotFound      = kind{372, "SESSION_NOT_FOUND"}
	sessionLocked        = kind{373, "SESSION_IS_LOCKED"}
	authenticationFailed = kind{516, "AUTHENTICATION_FAILED"}
	unknownException     = kind{1002, "UNKNOWN_EXCEPTION"}
)

func (k kind) with(format string, args ...any) *exception {
	return &exception{code: k.code, text: fmt.Sprintf("Code: %d. DB::Exception: %s. (%s)", k.code, fmt.Sprintf(format, args...), k.name)}
}

// parseException reads the code out of the engine's text.
func parseException(text string) *exception {
	e := &exception{code: unknownException.code, text: strings.TrimRight(text, "\n")}
	if _, rest, ok := strings.Cut(text, "Code: "); ok {
		digits, _, _ := strings.Cut(rest, ".")
		if n, err := strconv.Atoi(digits); err == nil {
			e.code = n
		}
	}
	return e
}

// status is the one that a ClickHouse server gives for the code (its
// HTTPHandler.cpp); 500 for all that are not here.
func (e *exception) status() int {
	switch e.code {
	case 194: // REQUIRED_PASSWORD
		return http.StatusUnauthorized
	case 192, 193, 516: // UNKNOWN_USER, WRONG_PASSWORD, AUTHENTICATION_FAILED
		return http.StatusForbidden
	case 6, 26, 27, 36, 38, 41, 53, 62, 72, 130, 131, 441, 456, 457:
		// CANNOT_PARSE_*, BAD_ARGUMENTS, TYPE_MISMATCH, SYNTAX_ERROR, UNKNOWN_ and BAD_QUERY_PARAMETER
		return http.StatusBadRequest
	case 46, 47, 50, 52, 56, 60, 63, 73, 78, 81, 115: // UNKNOWN_FUNCTION, …_TABLE, …_DATABASE, …_SETTING
		return http.StatusNotFound
	case 159: // TIMEOUT_EXCEEDED
		return http.StatusRequestTimeout
	case 223: // QUERY_IS_TOO_LARGE
		return http.StatusRequestEntityTooLarge
	case 48: // NOT_IMPLEMENTED
		return http.StatusNotImplemented
	case 76, 209: // CANNOT_OPEN_FILE, SOCKET_TIMEOUT
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}
