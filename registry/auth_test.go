package registry

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/containerd/errdefs"

	"github.com/skerry-app/skerry/registry/registrytest"
)

func TestPullWithCredentials(t *testing.T) {
	const user, password = "me", "correct horse"
	for _, tls := range []bool{false, true} {
		hub := registrytest.Start(t, registrytest.Options{Username: user, Password: password, TLS: tls})
		push(t, hub.Remote, "team/app", "1", simple("one"))
		ref := hub.Host + "/team/app:1"
		s := open(t, t.TempDir())
		wantError(t, s, ref, PullOptions{}, errdefs.ErrUnauthenticated, "wants a login")
		wantError(t, s, ref, PullOptions{Auth: &Auth{}}, errdefs.ErrUnauthenticated, "wants a login")
		wantError(t, s, ref, PullOptions{Auth: &Auth{Username: user, Password: "wrong"}}, errdefs.ErrUnauthenticated, "refused the credentials")
		if _, err := s.Pull(t.Context(), ref, PullOptions{Auth: &Auth{Username: user, Password: password}}); err != nil {
			t.Error(err)
		}
		for key, text := range map[string]string{hub.Host: password, hub.Host + "/team": password, hub.Host + "/team/app": password} {
			encoded := base64.StdEncoding.EncodeToString([]byte(user + ":" + text))
			s := open(t, t.TempDir())
			write(t, s.authFile, fmt.Sprintf(`{"auths": {%q: {"auth": %q}}}`, key, encoded))
			if _, err := s.Pull(t.Context(), ref, PullOptions{}); err != nil {
				t.Errorf("with credentials for %s: %v", key, err)
			}
		}
		wrong := base64.StdEncoding.EncodeToString([]byte(user + ":wrong"))
		write(t, s.authFile, fmt.Sprintf(`{"auths": {%q: {"auth": %q}}}`, hub.Host, wrong))
		wantError(t, open2(t, s), ref, PullOptions{}, errdefs.ErrUnauthenticated, "refused the credentials")
	}
}

// open2 opens an empty store with the credentials of another.
func open2(t *testing.T, s *Store) *Store {
	t.Helper()
	other := open(t, t.TempDir())
	other.authFile = s.authFile
	return other
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestPullWithDockersConfig has the credentials where docker keeps them: in
// config.json, or with a helper that it names.
func TestPullWithDockersConfig(t *testing.T) {
	hub := registrytest.Start(t, registrytest.Options{Username: "me", Password: "secret"})
	push(t, hub.Remote, "app", "1", simple("one"))
	ref := hub.Host + "/app:1"
	home, bin := t.TempDir(), t.TempDir()
	for _, v := range []string{"HOME", "DOCKER_CONFIG", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME"} {
		t.Setenv(v, home)
	}
	t.Setenv("REGISTRY_AUTH_FILE", "")
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	helper := `#!/bin/sh
read server
case "$1 $server" in
"get ` + hub.Host + `") echo '{"ServerURL":"x","Username":"me","Secret":"secret"}' ;;
*) echo "credentials not found in native keychain"; exit 1 ;;
esac
`
	if err := os.WriteFile(filepath.Join(bin, "docker-credential-test"), []byte(helper), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, config := range map[string]string{
		"auths":       `{"auths": {"` + hub.Host + `": {"auth": "` + base64.StdEncoding.EncodeToString([]byte("me:secret")) + `"}}}`,
		"credHelpers": `{"credHelpers": {"` + hub.Host + `": "test"}}`,
		"credsStore":  `{"credsStore": "test"}`,
	} {
		write(t, filepath.Join(home, "config.json"), config)
		s := open(t, t.TempDir())
		s.authFile = ""
		if _, err := s.Pull(t.Context(), ref, PullOptions{}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}

	// A helper that waits for the user does not hold up who gives up.
	user := filepath.Join(bin, "user")
	if err := syscall.Mkfifo(user, 0o600); err != nil {
		t.Fatal(err)
	}
	asking := "#!/bin/sh\nread answer < " + user + "\nexit 1\n"
	if err := os.WriteFile(filepath.Join(bin, "docker-credential-asking"), []byte(asking), 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(home, "config.json"), `{"credsStore": "asking"}`)
	impatient := open(t, t.TempDir())
	impatient.authFile, impatient.patience.answer = "", 100*time.Millisecond
	wantError(t, impatient, ref, PullOptions{}, context.DeadlineExceeded, "credentials for "+hub.Host)
	write(t, user, "no\n")

	other := registrytest.Start(t, registrytest.Options{})
	push(t, other.Remote, "app", "1", simple("one"))
	s := open(t, t.TempDir())
	s.authFile = ""
	write(t, filepath.Join(home, "config.json"), `{"credsStore": "test"}`)
	if _, err := s.Pull(t.Context(), other.Host+"/app:1", PullOptions{}); err != nil {
		t.Errorf("from a registry that the helper does not know: %v", err)
	}
	write(t, filepath.Join(home, "config.json"), `{"credsStore": "no-such-helper"}`)
	wantError(t, s, hub.Host+"/app:1", PullOptions{}, nil, "docker-credential-no-such-helper", "config.json")
	write(t, filepath.Join(home, "config.json"), `{"credsStore": `)
	wantError(t, s, hub.Host+"/app:1", PullOptions{}, nil, "config.json")
}

func TestLogin(t *testing.T) {
	hub := registrytest.Start(t, registrytest.Options{Username: "me", Password: "secret"})
	push(t, hub.Remote, "app", "1", simple("one"))
	s := open(t, t.TempDir())
	good, bad := Auth{Username: "me", Password: "secret"}, Auth{Username: "me", Password: "guess"}
	if err := s.CheckLogin(t.Context(), hub.Host, bad); !errors.Is(err, errdefs.ErrUnauthenticated) || !strings.Contains(err.Error(), "login to "+hub.Host) {
		t.Errorf("a wrong password gives %v", err)
	}
	if err := s.CheckLogin(t.Context(), "http://"+hub.Host+"/", good); err != nil {
		t.Error(err)
	}
	if where, err := s.SaveLogin(hub.Host, good); err != nil || where != s.authFile {
		t.Errorf("kept in %q, %v", where, err)
	}
	pulled(t, s, hub.Host+"/app:1")
	if err := s.Logout(hub.Host); err != nil {
		t.Error(err)
	}
	wantError(t, open2(t, s), hub.Host+"/app:1", PullOptions{}, errdefs.ErrUnauthenticated)
	if err := s.Logout(hub.Host); !errors.Is(err, errdefs.ErrNotFound) {
		t.Errorf("a second logout gives %v", err)
	}
	if err := s.CheckLogin(t.Context(), "not a host", good); !errors.Is(err, errdefs.ErrInvalidArgument) {
		t.Errorf("a login to no host gives %v", err)
	}
}

func TestServerDomain(t *testing.T) {
	for server, want := range map[string]string{
		"": "docker.io", "https://index.docker.io/v1/": "docker.io", "index.docker.io": "docker.io", "docker.io": "docker.io",
		"localhost:5000": "localhost:5000", "https://ex.test": "ex.test", "ex.test/": "ex.test", "[::1]:5000": "[::1]:5000",
	} {
		if got, err := serverDomain(server); err != nil || got != want {
			t.Errorf("%q is %q, %v instead of %q", server, got, err, want)
		}
	}
	for _, server := range []string{"a b", "host/path", "http://", "../x", "word"} {
		if got, err := serverDomain(server); err == nil {
			t.Errorf("%q is taken for %q", server, got)
		}
	}
}
