// Command demo shows a project working on a machine without internet: it
// serves a registry on the loopback interface, pushes an image made of Debian's
// busybox to it, has skerry bring the project up, and prints the page that the
// container serves.
//
//	demo [-skerry PROGRAM] PROJECT-FILE
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"

	"github.com/skerry-app/skerry/registry/registrytest"
	"github.com/skerry-app/skerry/tests/busybox"
)

const (
	// usualAddress is where the example expects its registry unless it is told
	// otherwise. With the same address every time the image is pulled once.
	usualAddress = "127.0.0.1:5000"
	repository   = "skerry/hello"
	// page is where the example publishes the container's port.
	page = "http://127.0.0.1:8080/"
	// pageTimeout bounds the wait for the container's server.
	pageTimeout = time.Minute
	pagePause   = 50 * time.Millisecond
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func run() error {
	skerry := flag.String("skerry", "skerry", "the program")
	flag.Parse()
	if flag.NArg() != 1 {
		return errors.New("usage: demo [-skerry PROGRAM] PROJECT-FILE")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	host, err := serveImage(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "demo: %s/%s is in a registry of its own; skerry brings the project up\n", host, repository)
	up := exec.CommandContext(ctx, *skerry, "up", "-f", flag.Arg(0))
	up.Env = append(os.Environ(), "SKERRY_DEMO_REGISTRY="+host)
	up.Stdout, up.Stderr = os.Stdout, os.Stderr
	if err := up.Run(); err != nil {
		return fmt.Errorf("%s up: %w", *skerry, err)
	}
	text, err := fetch(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "demo: %s answers:\n", page)
	fmt.Print(text)
	fmt.Fprintf(os.Stderr, "demo: the app goes on; see `%[1]s ps`, end it with `%[1]s app quit`\n", *skerry)
	return nil
}

// serveImage starts the registry with the image in it.
func serveImage(ctx context.Context) (host string, err error) {
	image, err := busybox.Image()
	if err != nil {
		return "", err
	}
	address := usualAddress
	if l, err := net.Listen("tcp", address); err != nil {
		address = "127.0.0.1:0" // somebody else's
	} else {
		l.Close()
	}
	server, err := registrytest.Serve(ctx, registrytest.Options{Address: address})
	if err != nil {
		return "", fmt.Errorf("serve a registry on %s: %w", address, err)
	}
	if _, err := image.Push(ctx, server.Host, repository, "latest"); err != nil {
		return "", fmt.Errorf("push the image: %w", err)
	}
	return server.Host, nil
}

// fetch gets the container's page as soon as it is served.
func fetch(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, pageTimeout, errors.New(page+" does not answer"))
	defer cancel()
	for {
		text, err := get(ctx)
		if err == nil {
			return text, nil
		}
		select {
		case <-time.After(pagePause):
		case <-ctx.Done():
			return "", fmt.Errorf("%w: %w", context.Cause(ctx), err)
		}
	}
}

func get(ctx context.Context) (string, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, page, nil)
	if err != nil {
		return "", err
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, 1<<20))
	if err == nil && answer.StatusCode != http.StatusOK {
		err = errors.New(answer.Status)
	}
	return string(text), err
}
