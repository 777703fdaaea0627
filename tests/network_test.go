package tests

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestPublishedPort reaches a container through a port of the host, over IPv4
// and IPv6.
func TestPublishedPort(t *testing.T) {
	eachClient(t, func(t *testing.T, a *app, client string) {
		name := "web-" + client
		a.ok(client, "run", "-d", "--name", name, "-p", "80", testImage, "sh", "-c",
			"mkdir /www && echo 'from the container' > /www/index.html && exec httpd -f -p 80 -h /www")
		defer a.ok(client, "rm", "-f", name)
		port := strings.TrimSpace(a.ok(client, "inspect", "-f", `{{(index (index .NetworkSettings.Ports "80/tcp") 0).HostPort}}`, name))
		for _, host := range []string{"127.0.0.1", "[::1]"} {
			if host == "[::1]" && !hasIPv6() {
				continue
			}
			a.eventually("the page is served on "+host, func() error {
				page, err := fetch("http://" + host + ":" + port + "/")
				if err == nil && page != "from the container\n" {
					err = fmt.Errorf("the page is %q", page)
				}
				return err
			})
		}
	})
}

func hasIPv6() bool {
	l, err := net.Listen("tcp", "[::1]:0")
	if err == nil {
		l.Close()
	}
	return err == nil
}

func fetch(url string) (string, error) {
	client := http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	r, err := client.Get(url)
	if err != nil {
		return "", err
	}
	defer r.Body.Close()
	page, err := io.ReadAll(r.Body)
	if err == nil && r.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %s", r.Status)
	}
	return string(page), err
}

// TestPortTaken checks that a port in use fails the start and leaves nothing.
func TestPortTaken(t *testing.T) {
	a := shared(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	a.fails(125, port, "skerry", "run", "--rm", "-p", port+":80", testImage, "true")
	a.fails(125, port, "docker", "run", "--rm", "-p", port+":80", testImage, "true")
}

// TestContainerReachesTheHost dials a service on the host's loopback.
func TestContainerReachesTheHost(t *testing.T) {
	a := shared(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "from the host\n") })}
	go server.Serve(l)
	defer server.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	if out := a.ok("skerry", "run", "--rm", testImage, "wget", "-q", "-O", "-", "http://host.docker.internal:"+port+"/"); out != "from the host\n" {
		t.Errorf("the container fetched %q", out)
	}
}

// TestContainersReachEachOther uses addresses and names on one network.
func TestContainersReachEachOther(t *testing.T) {
	a := shared(t)
	a.ok("skerry", "run", "-d", "--name", "server", testImage, "sh", "-c",
		"mkdir /www && echo 'from a neighbour' > /www/index.html && exec httpd -f -p 80 -h /www")
	defer a.ok("skerry", "rm", "-f", "server")
	address := strings.TrimSpace(a.ok("skerry", "inspect", "-f", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", "server"))
	const script = `for host in "$@"; do for try in $(seq 100); do wget -q -O - "http://$host/" && break; sleep 0.1; done; done`
	if out := a.ok("skerry", "run", "--rm", testImage, "sh", "-c", script, "sh", "server", address); out != "from a neighbour\nfrom a neighbour\n" {
		t.Errorf("the neighbour fetched %q", out)
	}
}
