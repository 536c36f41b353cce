package probe

import (
	"context"
	"net/http"
	"strings"
)

// askClickHouse asks for something over HTTP.
func askClickHouse(ctx context.Context, q Question) error {
	password, err := q.secret("password_file")
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+q.Addr+"/", strings.NewReader("SELECT 1"))
	if err != nil {
		return err
	}
	if user := q.Options["username"]; user != "" {
		req.SetBasicAuth(user, password)
	}
	status, body, err := do(req)
	if err == nil && (status != http.StatusOK || string(body) != "1\n") {
		err = answered(status, body)
	}
	return err
}
