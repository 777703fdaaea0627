package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// The app's own endpoints, beside the Engine API on the same socket.
const (
	endpointVersion = "/skerry/version"
	endpointDoctor  = "/skerry/doctor"
	endpointQuit    = "/skerry/quit"
	endpointLogin   = "/skerry/login"
	endpointLogout  = "/skerry/logout"
	endpointUp      = "/skerry/projects/up"
	endpointDown    = "/skerry/projects/down"
	endpointPlan    = "/skerry/projects/plan"
)

// maxErrorBody bounds what is read of an error's text.
const maxErrorBody = 1 << 20

// call sends a request to the app and returns the answer's body, which the
// caller closes. An answer of status 400 or more is an error with its message.
func (c *connection) call(ctx context.Context, launch bool, method, endpoint string, body any) (io.ReadCloser, error) {
	var content io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		content = bytes.NewReader(text)
	}
	request, err := http.NewRequestWithContext(ctx, method, "http://skerry"+endpoint, content)
	if err != nil {
		return nil, err
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := c.http(launch).Do(request)
	if err != nil {
		return nil, fmt.Errorf("ask the app: %w", err)
	}
	if response.StatusCode < http.StatusBadRequest {
		return response.Body, nil
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxErrorBody))
	if err != nil {
		return nil, fmt.Errorf("read the app's answer: %w", err)
	}
	var failure struct{ Message string }
	if json.Unmarshal(text, &failure) != nil || failure.Message == "" {
		return nil, fmt.Errorf("the app answered %s: %s", response.Status, strings.TrimSpace(string(text)))
	}
	return nil, errors.New(failure.Message)
}

// get decodes the JSON that the app answers.
func (c *connection) get(ctx context.Context, launch bool, endpoint string, into any) error {
	body, err := c.call(ctx, launch, http.MethodGet, endpoint, nil)
	if err != nil {
		return err
	}
	defer body.Close()
	if err := json.NewDecoder(body).Decode(into); err != nil {
		return fmt.Errorf("read the app's answer to %s: %w", endpoint, err)
	}
	return nil
}
