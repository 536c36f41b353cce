package main

import (
	"bufio"
	"crypto/subtle"
	"fmt"
	"net/http"
	"os"
	"strings"
)

// users are who may come in. Without a file there is only default, without a
// password.
type users map[string]user

type user struct {
	password string
	readonly bool
}

// readUsers reads a file of lines "NAME [PASSWORD [readonly]]".
func readUsers(path string) (users, error) {
	if path == "" {
		return users{"default": {}}, nil
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	u := users{}
	lines := bufio.NewScanner(file)
	for n := 1; lines.Scan(); n++ {
		switch f := strings.Fields(lines.Text()); {
		case len(f) == 0:
		case len(f) == 1:
			u[f[0]] = user{}
		case len(f) == 2:
			u[f[0]] = user{password: f[1]}
		case len(f) == 3 && f[2] == "readonly":
			u[f[0]] = user{password: f[1], readonly: true}
		default:
			return nil, fmt.Errorf("%s:%d: a line is NAME [PASSWORD [readonly]]", path, n)
		}
	}
	return u, lines.Err()
}

// admit finds who sends a request: by the Authorization header, ClickHouse's
// own headers or the URL, as a ClickHouse server does.
func (u users) admit(r *http.Request) (user, error) {
	name, password, ok := r.BasicAuth()
	if !ok {
		name, password = r.Header.Get("X-ClickHouse-User"), r.Header.Get("X-ClickHouse-Key")
	}
	if q := r.URL.Query(); name == "" && !ok {
		name, password = q.Get("user"), q.Get("password")
	}
	if name == "" {
		name = "default"
	}
	who, known := u[name]
	if !known || subtle.ConstantTimeCompare([]byte(who.password), []byte(password)) != 1 {
		return user{}, authenticationFailed.with("%s: Authentication failed: password is incorrect, or there is no user with such name", name)
	}
	return who, nil
}
