package tests

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/skerry-app/skerry/registry/registrytest"
)

// TestPush gives an image another name, pushes it, forgets it and pulls it back.
func TestPush(t *testing.T) {
	eachClient(t, func(t *testing.T, a *app, client string) {
		name := registryServer.Host + "/pushed/by-" + client + ":1"
		a.ok(client, "tag", testImage, name)
		if out := a.ok(client, "push", name); client == "docker" && !strings.Contains(out, "1: digest: sha256:") {
			t.Errorf("push printed %q", out)
		}
		a.ok(client, "rmi", name)
		a.ok(client, "pull", name)
		if out := a.ok(client, "run", "--rm", name, "echo", "back"); out != "back\n" {
			t.Errorf("the image gives %q", out)
		}
		a.ok(client, "rmi", name)
		a.fails(1, "no image has this name", client, "push", name)
	})
}

// TestSaveAndLoad takes an image out of one app and brings it into another.
func TestSaveAndLoad(t *testing.T) {
	a := shared(t)
	other := startApp(t)
	for _, client := range clients {
		archive := filepath.Join(t.TempDir(), "image.tar")
		a.with(t).ok(client, "save", "-o", archive, testImage)
		if out := other.ok(client, "load", "-i", archive); !strings.Contains(out, "Loaded image: "+testImage) {
			t.Errorf("load printed %q", out)
		}
		if out := other.ok(client, "run", "--rm", testImage, "echo", "loaded"); out != "loaded\n" {
			t.Errorf("the image gives %q", out)
		}
		other.ok(client, "rmi", testImage)
		a.with(t).fails(1, "no such image", client, "save", "-o", archive+".none", "no/such/image")
		if _, err := os.Stat(archive + ".none"); err == nil {
			t.Error("a file is left of what could not be saved")
		}
		if r := other.do(strings.NewReader("no archive"), client, "load"); r.code != 1 {
			t.Errorf("load of nonsense: exit status %d, stderr %q", r.code, r.stderr)
		}
	}
}

// TestLogin pulls from a registry that wants a name and a password.
func TestLogin(t *testing.T) {
	hub := registrytest.Start(t, registrytest.Options{Username: "anna", Password: "secret"})
	if _, err := (registrytest.Image{Layers: []registrytest.Layer{{Files: []registrytest.File{{Name: "file"}}}}}).Push(t.Context(), hub.Host, "private/image", "latest"); err == nil {
		t.Fatal("the registry takes an image from anybody")
	}
	a := &app{tb: t, home: newHome(t)}
	a.start("REGISTRY_AUTH_FILE=" + filepath.Join(a.home, "auth.json"))
	t.Cleanup(func() {
		a.stop()
		a.checkNothingLeft()
	})
	name := hub.Host + "/private/image:latest"
	a.ok("skerry", "pull", testImage)
	a.ok("skerry", "tag", testImage, name)
	a.fails(1, "login", "skerry", "push", name)
	if r := a.do(strings.NewReader("wrong"), "skerry", "login", "-u", "anna", "--password-stdin", hub.Host); r.code != 1 || !strings.Contains(r.stderr, "refused the credentials") {
		t.Errorf("login with a wrong password: exit status %d, stderr %q", r.code, r.stderr)
	}
	a.fails(1, "login", "skerry", "push", name)
	if r := a.do(strings.NewReader("secret\n"), "skerry", "login", "-u", "anna", "--password-stdin", hub.Host); r.code != 0 || r.stdout != "Login Succeeded\n" {
		t.Errorf("login: exit status %d, stdout %q, stderr %q", r.code, r.stdout, r.stderr)
	}
	a.ok("skerry", "push", name)
	a.ok("skerry", "rmi", name)
	a.ok("skerry", "pull", name)
	a.ok("skerry", "logout", hub.Host)
	a.fails(1, "login", "skerry", "push", name)
	a.fails(1, "not logged in", "skerry", "logout", hub.Host)

	// The docker command keeps what it knows by itself and sends it along.
	if r := a.do(strings.NewReader("secret"), "docker", "login", "-u", "anna", "--password-stdin", hub.Host); r.code != 0 {
		t.Errorf("docker login: exit status %d, stderr %q", r.code, r.stderr)
	}
	a.ok("docker", "push", name)
}

// TestPruneImages removes what no container was made from, and nothing else.
func TestPruneImages(t *testing.T) {
	a := startApp(t)
	a.ok("skerry", "pull", testImage)
	a.ok("skerry", "create", "--name", "user", testImage)
	names := func() string { return a.ok("skerry", "images", "--format", "{{.Repository}}") }
	a.ok("docker", "image", "prune", "-f", "-a")
	if names() == "" {
		t.Fatal("an image that a container uses is gone")
	}
	a.ok("skerry", "rm", "user")
	a.ok("docker", "image", "prune", "-f") // those without a name
	if names() == "" {
		t.Fatal("an image with a name is gone")
	}
	if out := a.ok("docker", "image", "prune", "-f", "-a"); names() != "" || !strings.Contains(out, "deleted: sha256:") {
		t.Errorf("prune: %q; there are %q", out, names())
	}
}
