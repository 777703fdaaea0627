//go:build linux

// Package probe finds out whether a container's servers answer, for images that
// have no program to ask them.
package probe

import (
	"context"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// maxOutput bounds what is read of an answer, in bytes.
const maxOutput = 4 << 10

// TCP connects to an address.
func TCP(ctx context.Context, address string) error {
	c, err := dial(ctx, address)
	if err != nil {
		return err
	}
	return c.Close()
}

func dial(ctx context.Context, address string) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, "tcp", address)
}

// HTTP gets a path, and returns the status and the beginning of the answer. Any
// status but 2xx and 3xx is an error. (The usual client would make vminitd a
// quarter larger, and slower to start.)
func HTTP(ctx context.Context, address, path string) (answer string, err error) {
	c, err := dial(ctx, address)
	if err != nil {
		return "", err
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.SetDeadline(time.Unix(1, 0)) })()
	// Version 1.0 (RFC 1945): the answer ends with the connection, in one piece.
	if _, err := fmt.Fprintf(c, "GET %s HTTP/1.0\r\nHost: %s\r\nUser-Agent: skerry-probe\r\n\r\n", path, address); err != nil {
		return "", err
	}
	text, err := io.ReadAll(io.LimitReader(c, maxOutput))
	head, body, _ := strings.Cut(string(text), "\r\n\r\n")
	line, _, _ := strings.Cut(head, "\r\n")
	version, status, _ := strings.Cut(line, " ")
	code, numErr := strconv.Atoi(status[:min(len(status), 3)])
	if !strings.HasPrefix(version, "HTTP/") || numErr != nil {
		if err == nil {
			err = fmt.Errorf("the answer is no HTTP: %q", line)
		}
		return "", err
	}
	answer = status + "\n" + body
	if code < 200 || code > 399 {
		return answer, fmt.Errorf("status %d", code)
	}
	return answer, nil
}
