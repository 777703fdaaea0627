package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"syscall"

	"github.com/moby/moby/client"

	"github.com/skerry-app/skerry/app/home"
)

// apiVersion is fixed rather than negotiated: command line and app are the
// same program, and negotiation costs every command a request.
const apiVersion = "1.51"

// connection reaches the app through its socket and starts the app when
// nothing listens there.
type connection struct {
	home  home.Dir
	notes io.Writer // for a word about a slow start
}

// client returns a client of the Engine API. Nothing is sent until it is used.
func (c *connection) client() (*client.Client, error) { return c.newClient(c.dialOrLaunch) }

func (c *connection) newClient(dial dialFunc) (*client.Client, error) {
	api, err := client.New(
		client.WithHost("unix://"+c.home.Socket()),
		client.WithDialContext(dial),
		client.WithAPIVersion(apiVersion),
		client.WithUserAgent("skerry"),
	)
	if err != nil {
		return nil, fmt.Errorf("prepare the connection to %s: %w", c.home.Socket(), err)
	}
	return api, nil
}

// http returns a client for the /skerry/ endpoints, any host name will do in
// their URLs. Without launch it fails with errNotRunning when nothing listens.
func (c *connection) http(launch bool) *http.Client {
	dial := c.dialRunning
	if launch {
		dial = c.dialOrLaunch
	}
	return &http.Client{Transport: &http.Transport{DialContext: dial, DisableCompression: true}}
}

type dialFunc = func(ctx context.Context, network, address string) (net.Conn, error)

// errNotRunning says that nothing listens on the socket.
var errNotRunning = errors.New("the app is not running; start it with: skerry app")

func (c *connection) dialRunning(ctx context.Context, _, _ string) (net.Conn, error) {
	conn, err := c.dial(ctx)
	if nobodyListens(err) {
		return nil, &launchError{errNotRunning}
	}
	return conn, err
}

func (c *connection) dialOrLaunch(ctx context.Context, _, _ string) (net.Conn, error) {
	conn, err := c.dial(ctx)
	if nobodyListens(err) {
		return c.launch(ctx)
	}
	return conn, err
}

func (c *connection) dial(ctx context.Context) (net.Conn, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", c.home.Socket())
	if err != nil && !nobodyListens(err) && ctx.Err() == nil {
		return nil, &launchError{fmt.Errorf("connect to the app at %s: %w", c.home.Socket(), err)}
	}
	return conn, err
}

// nobodyListens: no socket, or one that a killed app left behind.
func nobodyListens(err error) bool {
	return errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.ECONNREFUSED)
}
