//go:build linux

// Package probe finds out whether a container's servers answer, for images that
// have no program to ask them.
package probe

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// maxOutput bounds what is told of an answer, in bytes.
const maxOutput = 4 << 10

// TCP connects to an address.
func TCP(ctx context.Context, address string) error {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	return c.Close()
}

// HTTP gets a path, and returns the status and the beginning of the answer. Any
// status but 2xx and 3xx is an error.
func HTTP(ctx context.Context, address, path string) (answer string, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+path, nil)
	if err != nil {
		return "", err
	}
	request.Header.Set("User-Agent", "skerry-probe")
	client := &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true, ResponseHeaderTimeout: time.Minute},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // where it leads is another's business
	}
	response, err := client.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(response.Body, maxOutput))
	answer = response.Status + "\n" + string(body)
	if response.StatusCode < 200 || response.StatusCode > 399 {
		return answer, fmt.Errorf("status %d", response.StatusCode)
	}
	return answer, nil
}
