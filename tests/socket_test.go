package tests

import (
	"archive/tar"
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh/agent"

	"github.com/skerry-app/skerry/registry/registrytest"
)

// TestSockets relays unix sockets both ways.
func TestSockets(t *testing.T) {
	a, dir := shared(t), t.TempDir()
	ref := insideImage(t, "sockets", registrytest.Layer{Files: []registrytest.File{{Name: "run/"}, {Name: "var/"}, {Name: "var/run", Type: tar.TypeSymlink, Link: "/run"}}})
	host := filepath.Join(dir, "host.sock")
	l, err := net.Listen("unix", host)
	must(t, err)
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				all, _ := io.ReadAll(c)
				c.Write(append(all, " from the host"...))
			}()
		}
	}()
	outside := filepath.Join(dir, "outside.sock")
	stale, err := net.ListenUnix("unix", &net.UnixAddr{Name: outside})
	must(t, err)
	stale.SetUnlinkOnClose(false)
	must(t, stale.Close())
	name := "sockets-" + strings.Repeat("long", 12)
	a.ok("skerry", "run", "-d", "--name", name, "-v", host+":/var/run/test.sock", "--publish-socket", outside+":/var/run/inside.sock", ref, "inside", "echo", "/run/inside.sock")
	t.Cleanup(func() { a.ok("skerry", "rm", "-f", name) })

	if kind := a.in(name, "ls -l /run/test.sock | cut -c 1"); kind != "s\n" {
		t.Errorf("in the container it is %q", kind)
	}
	for _, user := range []string{"root", "app"} {
		r := a.do(strings.NewReader("hello"), "skerry", "exec", "-i", "-u", user, name, "inside", "send", "/run/test.sock")
		if r.stdout != "hello from the host" {
			t.Errorf("as %s: %q, %s", user, r.stdout, r.stderr)
		}
	}
	large := bytes.Repeat(pattern("socket"), 8)
	a.eventually("the container's socket is there", func() error {
		c, err := net.Dial("unix", outside)
		if err != nil {
			return err
		}
		defer c.Close()
		go func() {
			c.Write(large)
			c.(*net.UnixConn).CloseWrite()
		}()
		got, err := io.ReadAll(c)
		if err == nil && string(got) != string(large)+" back" {
			t.Fatalf("%d bytes came back instead of %d", len(got), len(large)+5)
		}
		return err
	})
	if st, err := os.Stat(outside); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("the socket on the host: %v %v", st, err)
	}
	a.fails(125, "served by somebody else", "skerry", "run", "--rm", "--publish-socket", outside+":/x", ref, "true")
	a.fails(125, "is no socket", "skerry", "run", "--rm", "--publish-socket", filepath.Join(dir, "file")+":/x", touch(t, filepath.Join(dir, "file"), ref), "true")
	a.ok("skerry", "stop", "-t", "0", name)
	if _, err := os.Lstat(outside); !os.IsNotExist(err) {
		t.Errorf("the socket stays: %v", err)
	}
	covers(t, 136, 137, 138)
}

// touch makes a file and returns what it is given.
func touch(t *testing.T, file, ref string) string {
	write(t, file, "x")
	return ref
}

// TestSSHAgent lets a container use a real agent, with one key.
func TestSSHAgent(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "agent")
	l, err := net.Listen("unix", socket)
	must(t, err)
	defer l.Close()
	keys := agent.NewKeyring()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	must(t, keys.Add(agent.AddedKey{PrivateKey: key, Comment: "of the host"}))
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				agent.ServeAgent(keys, c)
			}()
		}
	}()
	t.Setenv("SSH_AUTH_SOCK", socket)
	a := shared(t)
	// SSH_AGENTC_REQUEST_IDENTITIES (draft-ietf-sshm-ssh-agent, section 4.4).
	r := a.do(strings.NewReader("\x00\x00\x00\x01\x0b"), "skerry", "run", "--rm", "-i", "--ssh", "-u", "app", insideImage(t, "ssh"),
		"sh", "-c", `inside send "$SSH_AUTH_SOCK"`)
	if r.code != 0 || !strings.Contains(r.stdout, "ssh-ed25519") || !strings.Contains(r.stdout, "of the host") {
		t.Errorf("%d %q\n%s", r.code, r.stdout, r.stderr)
	}
	t.Setenv("SSH_AUTH_SOCK", "")
	a.fails(2, "ssh_auth_sock is not set", "skerry", "run", "--rm", "--ssh", testImage, "true")
}
