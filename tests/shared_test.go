package tests

import (
	"archive/tar"
	"context"
	"fmt"
	"os"
	"sync"
	"testing"

	"github.com/skerry-app/skerry/registry/registrytest"
	"github.com/skerry-app/skerry/tests/busybox"
)

// testImage is busybox in the registry that all tests use.
var testImage string

// registryServer is that registry.
var registryServer *registrytest.Server

func TestMain(m *testing.M) {
	ctx, cancel := context.WithCancel(context.Background())
	code := 1
	if err := setUp(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "tests:", err)
	} else {
		code = m.Run()
		code = max(code, sharedApp.close())
	}
	cancel()
	os.Exit(code)
}

func setUp(ctx context.Context) (err error) {
	if registryServer, err = registrytest.Serve(ctx, registrytest.Options{}); err != nil {
		return err
	}
	image, err := busybox.Image()
	if err != nil {
		return err
	}
	image.Layers = append(image.Layers, registrytest.Layer{Files: []registrytest.File{
		{Name: "var/"}, {Name: "var/run", Type: tar.TypeSymlink, Link: "/run"},
		{Name: "pattern-out", Body: pattern("out")}, {Name: "pattern-err", Body: pattern("err")}}})
	testImage = registryServer.Host + "/skerry/busybox:latest"
	_, err = image.Push(ctx, registryServer.Host, "skerry/busybox", "latest")
	return err
}

// sharedApp is one app for all the tests that leave nothing in it.
var sharedApp lazyApp

type lazyApp struct {
	once sync.Once
	app  *app
}

// close stops the app, if it was started, and returns the exit status that
// tells whether anything is left of it.
func (l *lazyApp) close() int {
	if l.app == nil {
		return 0
	}
	defer os.RemoveAll(l.app.home)
	tb := &lateTB{}
	a := l.app.with(tb)
	a.stop()
	a.checkNothingLeft()
	if tb.failed {
		return 1
	}
	return 0
}

// shared returns the shared app, with the image pulled.
func shared(t *testing.T) *app {
	t.Helper()
	sharedApp.once.Do(func() {
		home, err := os.MkdirTemp("", "skerry")
		if err != nil {
			t.Fatal(err)
		}
		a := &app{tb: t, home: home}
		a.start()
		sharedApp.app = a
		a.ok("skerry", "pull", testImage)
	})
	if sharedApp.app == nil {
		t.Fatal("the shared app did not start")
	}
	return sharedApp.app.with(t)
}

// lateTB stands for a test when all tests are over.
type lateTB struct {
	testing.TB
	failed bool
}

func (l *lateTB) Helper()      {}
func (l *lateTB) Failed() bool { return l.failed }
func (l *lateTB) Logf(format string, a ...any) {
	fmt.Fprintf(os.Stderr, "after all tests: "+format+"\n", a...)
}
func (l *lateTB) Fatalf(format string, a ...any) {
	l.failed = true
	l.Logf(format, a...)
}
