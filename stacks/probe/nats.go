package probe

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// askNATS signs in and sends a PING.
func askNATS(ctx context.Context, q Question) error {
	password, err := q.secret("password_file")
	if err != nil {
		return err
	}
	conn, err := dial(ctx, q.Addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	hello, err := json.Marshal(map[string]any{"user": q.Options["username"], "pass": password, "verbose": false, "name": "prismctl dev"})
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(conn, "CONNECT %s\r\nPING\r\n", hello); err != nil {
		return err
	}
	lines := bufio.NewScanner(conn)
	for lines.Scan() {
		switch line := lines.Text(); {
		case line == "PONG":
			return nil
		case strings.HasPrefix(line, "INFO "):
		default:
			return fmt.Errorf("it answers %s", shown([]byte(line)))
		}
	}
	return errors.Join(errors.New("it does not answer"), lines.Err())
}
