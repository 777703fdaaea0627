package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/containers/image/v5/docker"
	"github.com/containers/image/v5/pkg/docker/config"
	"github.com/containers/image/v5/types"
	"github.com/distribution/reference"
	"github.com/docker/docker-credential-helpers/client"
	"github.com/docker/docker-credential-helpers/credentials"
)

// dockerHub is docker.io's key in the files and helpers of docker.
const dockerHub = "https://index.docker.io/v1/"

// Auth is what a registry is told about who asks: a name with a password, or a
// token.
type Auth struct {
	Username      string
	Password      string
	IdentityToken string // for the registry's token server (OAuth 2 refresh token)
	RegistryToken string // for the registry itself
}

// system is what containers/image should know for the talk about a repository,
// and whether there are credentials for it.
func (s *Store) system(ctx context.Context, repository string, auth *Auth) (sys *types.SystemContext, known bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.patience.answer)
	defer cancel()
	type result struct {
		sys   *types.SystemContext
		known bool
		err   error
	}
	found := make(chan result, 1)
	go func() {
		sys, known, err := s.credentials(repository, auth)
		found <- result{sys, known, err}
	}()
	select {
	case r := <-found:
		return r.sys, r.known, r.err
	case <-ctx.Done():
		// A helper may have asked the user, and still be waiting.
		return nil, false, fmt.Errorf("credentials for %s: %w", repository, context.Cause(ctx))
	}
}

func (s *Store) credentials(repository string, auth *Auth) (sys *types.SystemContext, known bool, err error) {
	domain, _, _ := strings.Cut(repository, "/")
	sys = &types.SystemContext{AuthFilePath: s.authFile, SystemRegistriesConfPath: s.mirrors}
	if isLoopback(domain) {
		sys.DockerInsecureSkipTLSVerify = types.OptionalBoolTrue
	}
	if auth != nil {
		sys.DockerAuthConfig = &types.DockerAuthConfig{Username: auth.Username, Password: auth.Password, IdentityToken: auth.IdentityToken}
		sys.DockerBearerRegistryToken = auth.RegistryToken
		return sys, *auth != Auth{}, nil
	}
	found, err := config.GetCredentials(sys, repository)
	if err == nil && found == (types.DockerAuthConfig{}) {
		sys.DockerAuthConfig, err = s.fromCredsStore(domain)
	}
	if err != nil {
		return nil, false, fmt.Errorf("credentials for registry %s: %w", domain, err)
	}
	return sys, found != (types.DockerAuthConfig{}) || sys.DockerAuthConfig != nil, nil
}

// fromCredsStore asks the helper that docker's config.json names for all
// registries, on a Mac the keychain. containers/image knows helpers for single
// registries only. It returns nil when there is none, or none that knows the
// registry.
func (s *Store) fromCredsStore(domain string) (*types.DockerAuthConfig, error) {
	path, err := s.dockerConfig()
	if err != nil {
		return nil, err
	}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	var file struct {
		CredsStore string `json:"credsStore"`
	}
	if err := json.Unmarshal(data, &file); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if file.CredsStore == "" {
		return nil, nil
	}
	helper := "docker-credential-" + filepath.Base(file.CredsStore)
	found, err := client.Get(client.NewShellProgramFunc(helper), credentialsKey(domain))
	if credentials.IsErrCredentialsNotFound(err) {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("ask %s, which %s names: %w", helper, path, err)
	}
	if found.Username == "<token>" { // docker-credential-helpers, README.md
		return &types.DockerAuthConfig{IdentityToken: found.Secret}, nil
	}
	return &types.DockerAuthConfig{Username: found.Username, Password: found.Secret}, nil
}

// credentialsKey is a registry's name in docker's credential helpers.
func credentialsKey(domain string) string {
	if domain == "docker.io" {
		return dockerHub
	}
	return domain
}

// dockerConfig is the path of docker's config.json.
func (s *Store) dockerConfig() (string, error) {
	if s.authFile != "" {
		return s.authFile, nil
	}
	if dir := os.Getenv("DOCKER_CONFIG"); dir != "" {
		return filepath.Join(dir, "config.json"), nil
	}
	home, err := os.UserHomeDir()
	return filepath.Join(home, ".docker", "config.json"), err
}

// serverDomain reads what users and docker write for a registry: a host, or a
// URL. Empty means docker.io.
func serverDomain(server string) (string, error) {
	if server == "" || server == dockerHub || server == "index.docker.io" {
		return "docker.io", nil
	}
	domain := strings.TrimPrefix(strings.TrimPrefix(server, "https://"), "http://")
	domain = strings.TrimSuffix(domain, "/")
	named, err := reference.ParseNormalizedNamed(domain + "/x")
	if err != nil || reference.Domain(named) != domain {
		return "", fmt.Errorf("%w: registry %q: write it as HOST[:PORT]", errdefs.ErrInvalidArgument, server)
	}
	return domain, nil
}

// CheckLogin asks a registry whether it accepts a name and password. Empty
// server means docker.io. Refused credentials give errdefs.ErrUnauthenticated.
func (s *Store) CheckLogin(ctx context.Context, server string, auth Auth) error {
	domain, err := serverDomain(server)
	if err != nil {
		return fmt.Errorf("login: %w", err)
	}
	sys, _, err := s.system(ctx, domain, &auth)
	if err != nil {
		return fmt.Errorf("login to %s: %w", domain, err)
	}
	ctx, cancel := context.WithTimeout(ctx, s.patience.answer)
	defer cancel()
	if err := docker.CheckAuth(ctx, sys, auth.Username, auth.Password, domain); err != nil {
		return fmt.Errorf("login to %s: %w", domain, explain(err, domain, true))
	}
	return nil
}

// SaveLogin keeps a name and password for later pulls and pushes, where podman
// keeps them, and returns that place.
func (s *Store) SaveLogin(server string, auth Auth) (where string, err error) {
	domain, err := serverDomain(server)
	if err != nil {
		return "", fmt.Errorf("login: %w", err)
	}
	where, err = config.SetCredentials(&types.SystemContext{AuthFilePath: s.authFile}, domain, auth.Username, auth.Password)
	if err != nil {
		return "", fmt.Errorf("keep the login to %s: %w", domain, err)
	}
	return where, nil
}

// Logout forgets what SaveLogin has kept. None gives errdefs.ErrNotFound.
func (s *Store) Logout(server string) error {
	domain, err := serverDomain(server)
	if err != nil {
		return fmt.Errorf("logout: %w", err)
	}
	err = config.RemoveAuthentication(&types.SystemContext{AuthFilePath: s.authFile}, domain)
	if errors.Is(err, config.ErrNotLoggedIn) {
		return fmt.Errorf("logout from %s: %w: not logged in", domain, errdefs.ErrNotFound)
	} else if err != nil {
		return fmt.Errorf("logout from %s: %w", domain, err)
	}
	return nil
}
