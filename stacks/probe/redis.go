package probe

import (
	"bufio"
	"context"
	"fmt"
	"strings"
)

// askRedis signs in where there is a password, and sends a PING.
func askRedis(ctx context.Context, q Question) error {
	password, err := q.secret("password_file")
	if err != nil {
		return err
	}
	conn, err := dial(ctx, q.Addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	answers := bufio.NewReaderSize(conn, 4<<10)
	say := func(want string, words ...string) error {
		var b strings.Builder
		fmt.Fprintf(&b, "*%d\r\n", len(words))
		for _, w := range words {
			fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(w), w)
		}
		if _, err := conn.Write([]byte(b.String())); err != nil {
			return err
		}
		line, err := answers.ReadSlice('\n')
		if err != nil && len(line) == 0 {
			return err
		}
		if strings.TrimSpace(string(line)) != want {
			return fmt.Errorf("to %s it answers %s", words[0], shown(line))
		}
		return nil
	}
	if password != "" {
		if err := say("+OK", "AUTH", password); err != nil {
			return err
		}
	}
	return say("+PONG", "PING")
}
