package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/skerry-app/skerry/app/home"
)

// testApp says, in the environment, that this program is to be the app that
// the command line starts, and how it behaves.
const testApp = "SKERRY_TEST_APP"

func TestMain(m *testing.M) {
	if kind := os.Getenv(testApp); kind != "" && len(os.Args) > 1 && os.Args[1] == "app" {
		os.Exit(New(Options{Version: "1.2.3", RunApp: runTestApp}).Run(context.Background(), os.Args[1:]))
	}
	os.Exit(m.Run())
}

func runTestApp(ctx context.Context, o AppOptions) error {
	fmt.Fprintln(os.Stderr, "app started, headless:", o.Headless)
	if os.Getenv(testApp) == "fail" {
		return errors.New("no machines to be had here: install something")
	}
	if err := os.MkdirAll(o.Home.Run(), 0o700); err != nil {
		return err
	}
	listener, err := net.Listen("unix", o.Home.Socket())
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	server := &http.Server{Handler: mux}
	mux.HandleFunc("GET "+versionPrefix+"/containers/json", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "[]") })
	mux.HandleFunc("GET /skerry/version", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"version":"1.2.3","driver":"none","kernel":"6.12","home":%q}`, o.Home)
	})
	mux.HandleFunc("POST /skerry/quit", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusAccepted)
		go server.Shutdown(context.Background())
	})
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	time.Sleep(200 * time.Millisecond) // as long as containers take to stop
	return os.WriteFile(filepath.Join(string(o.Home), "ended"), nil, 0o600)
}

// TestLaunch: of several commands that find no app one starts it, and quit
// ends it.
func TestLaunch(t *testing.T) {
	dir := newHome(t)
	t.Setenv(testApp, "serve")
	t.Cleanup(func() { skerry(t, "", "app", "quit") })
	skerry(t, "", "version").want(t, 0, "skerry 1.2.3 ("+platform()+")\napp    not running\n", "")

	var all sync.WaitGroup
	for range 4 {
		all.Go(func() { skerry(t, "", "ps", "-q").want(t, 0, "", "") })
	}
	all.Wait()
	log, err := os.ReadFile(dir.AppLog())
	if err != nil || string(log) != "app started, headless: true\n" {
		t.Errorf("log %q, %v", log, err)
	}
	skerry(t, "", "version").want(t, 0, "skerry 1.2.3 ("+platform()+")\napp    1.2.3, driver none, kernel 6.12\n       state in "+string(dir)+"\n", "")
	skerry(t, "", "env").want(t, 0, "export DOCKER_HOST=unix://"+dir.Socket()+"\n", "")
	skerry(t, "", "app", "quit").want(t, 0, "", "")
	if _, err := os.Stat(filepath.Join(string(dir), "ended")); err != nil {
		t.Errorf("the app goes on after quit: %v", err)
	}
	skerry(t, "", "app", "quit").want(t, 0, "", "the app is not running\n")
}

// TestLaunchAfterCrash: a socket that nobody serves any more is no app.
func TestLaunchAfterCrash(t *testing.T) {
	dir := newHome(t)
	if err := os.MkdirAll(dir.Run(), 0o700); err != nil {
		t.Fatal(err)
	}
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: dir.Socket()})
	if err != nil {
		t.Fatal(err)
	}
	listener.SetUnlinkOnClose(false)
	listener.Close()
	t.Setenv(testApp, "fail")
	got := skerry(t, "", "run", "alpine")
	want := "skerry: start the app: it ended at once (exit status 1); its log " + dir.AppLog() + " says:\n" +
		"  app started, headless: true\n  skerry: no machines to be had here: install something\n"
	got.want(t, exitSkerry, "", want)
	skerry(t, "", "ps").want(t, exitFailure, "", want) // not the first one's words again
}

// TestLaunchGivenUp: a command that waits for another's launch can be ended.
func TestLaunchGivenUp(t *testing.T) {
	dir := newHome(t)
	unlock, err := lockFile(t.Context(), dir.LaunchLock())
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := lockFile(ctx, dir.LaunchLock()); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

func TestEnv(t *testing.T) {
	dir := newHome(t)
	t.Setenv(home.Variable, string(dir)+"/it's here")
	skerry(t, "", "env").want(t, 0, `export DOCKER_HOST='unix://`+string(dir)+`/it'\''s here/run/docker.sock'`+"\n", "the app is not running; start it with: skerry app\n")
	skerry(t, "", "env", "--unset").want(t, 0, "unset DOCKER_HOST\n", "")
}

func TestDoctor(t *testing.T) {
	a := newApp(t)
	a.on("GET /skerry/doctor", 200, `[{"ok":true,"subject":"qemu","detail":"8.2"},{"ok":false,"subject":"/dev/kvm","detail":"permission denied","fix":"join the group kvm"}]`)
	skerry(t, "", "doctor").want(t, exitFailure, "ok    qemu: 8.2\nFAIL  /dev/kvm: permission denied\n      fix: join the group kvm\n", "skerry: 1 of 2 checks failed\n")
	got := skerry(t, "", "doctor", "--format", "json")
	if !strings.Contains(got.out, `{"ok":false,"subject":"/dev/kvm","detail":"permission denied","fix":"join the group kvm"}`) {
		t.Errorf("%+v", got)
	}
}

func TestAppWithoutApp(t *testing.T) {
	newHome(t)
	skerry(t, "", "app").want(t, exitFailure, "", "skerry: this program was built without the app\n")
}
