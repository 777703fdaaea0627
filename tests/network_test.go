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

// serveFromTheHost serves a page on the host's loopback and returns its port.
func serveFromTheHost(t *testing.T) (port string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "from the host\n") })}
	go server.Serve(l)
	t.Cleanup(func() { server.Close() })
	_, port, _ = net.SplitHostPort(l.Addr().String())
	return port
}

// TestContainerReachesTheHost dials a service on the host's loopback.
func TestContainerReachesTheHost(t *testing.T) {
	a := shared(t)
	port := serveFromTheHost(t)
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

// TestHostNetwork puts containers on the hypervisor's own network, where DHCP gives
// them their addresses. QEMU's is 10.0.2.0/24, and 10.0.2.2 there is the host's
// loopback.
func TestHostNetwork(t *testing.T) {
	a := shared(t)
	port := serveFromTheHost(t)
	a.ok("skerry", "run", "-d", "--name", "hosted", "--network", "nat", "-p", "80", testImage, "sh", "-c",
		"mkdir -p /www && echo 'from the container' > /www/index.html && exec httpd -f -p 80 -h /www")
	defer a.ok("skerry", "rm", "-f", "hosted")
	inside := func(command, want string) {
		t.Helper()
		if got := a.ok("skerry", "exec", "hosted", "sh", "-c", command); got != want {
			t.Errorf("%s: %q, want %q", command, got, want)
		}
	}
	inside("wget -qO- http://10.0.2.2:"+port, "from the host\n")
	inside("ip -o -4 addr show eth0 | awk '{print $4}'; ip route | awk '/^default/ {print $3}'", "10.0.2.15/24\n10.0.2.2\n")
	inside("grep nameserver /etc/resolv.conf; tail -n 1 /etc/hosts | cut -f1", "nameserver 10.0.2.3\n10.0.2.15\n")
	const place = `{{.HostConfig.NetworkMode}} {{with index .NetworkSettings.Networks "nat"}}{{.IPAddress}}/{{.IPPrefixLen}} {{.Gateway}} {{.MacAddress}}{{end}}`
	mac := strings.TrimSpace(a.ok("skerry", "exec", "hosted", "cat", "/sys/class/net/eth0/address"))
	if got, want := strings.TrimSpace(a.ok("docker", "inspect", "-f", place, "hosted")), "nat 10.0.2.15/24 10.0.2.2 "+mac; got != want {
		t.Errorf("inspect: %q, want %q", got, want)
	}
	published := strings.TrimSpace(a.ok("docker", "inspect", "-f", `{{(index (index .NetworkSettings.Ports "80/tcp") 0).HostPort}}`, "hosted"))
	a.eventually("the published port answers", func() error {
		page, err := fetch("http://127.0.0.1:" + published + "/")
		if err == nil && page != "from the container\n" {
			err = fmt.Errorf("the page is %q", page)
		}
		return err
	})
	// The address stays the machine's.
	a.ok("docker", "restart", "-t", "0", "hosted")
	inside("cat /sys/class/net/eth0/address", mac+"\n")

	a.fails(125, "vmnet is a network of macOS", "skerry", "run", "--rm", "--network", "vmnet", testImage, "true")
	a.fails(125, "it is the default gateway's", "skerry", "run", "--rm", "--network", "nat", "--add-host", "h:host-gateway", testImage, "true")
}

// TestPodOnHostNetwork has two containers share a machine there.
func TestPodOnHostNetwork(t *testing.T) {
	a := shared(t)
	for _, name := range []string{"hosted-one", "hosted-two"} {
		a.ok("skerry", "create", "--name", name, "--pod", "hosted", "--network", "nat", testImage, "sh", "-c", "cat /etc/resolv.conf; sleep 300")
		defer a.ok("skerry", "rm", "-f", name)
	}
	a.ok("skerry", "start", "hosted-one", "hosted-two")
	for _, name := range []string{"hosted-one", "hosted-two"} {
		if got := a.ok("docker", "inspect", "-f", `{{(index .NetworkSettings.Networks "nat").IPAddress}}`, name); got != "10.0.2.15\n" {
			t.Errorf("%s has the address %q", name, got)
		}
		if got := a.ok("skerry", "exec", name, "cat", "/etc/resolv.conf"); got != "nameserver 10.0.2.3\n" {
			t.Errorf("%s: %q", name, got)
		}
	}
}
