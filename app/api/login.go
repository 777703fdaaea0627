package api

import (
	"net/http"

	dockerregistry "github.com/moby/moby/api/types/registry"

	"github.com/skerry-app/skerry/registry"
)

// checkLogin asks a registry whether it accepts a name and password. The docker
// command keeps them by itself.
func (s *Server) checkLogin(w http.ResponseWriter, r *http.Request) error {
	if _, err := s.acceptedLogin(r); err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, dockerregistry.AuthResponse{Status: "Login Succeeded"})
}

// acceptedLogin reads a name and password that the registry accepts.
func (s *Server) acceptedLogin(r *http.Request) (c dockerregistry.AuthConfig, err error) {
	if err := readJSON(r, &c); err != nil {
		return c, err
	}
	return c, s.engine.Images().CheckLogin(r.Context(), c.ServerAddress, toAuth(c))
}

// loginAnswer says where a login is kept.
type loginAnswer struct {
	Where string
}

// login is checkLogin for skerry's own command line, and keeps what is right.
func (s *Server) login(w http.ResponseWriter, r *http.Request) error {
	c, err := s.acceptedLogin(r)
	if err != nil {
		return err
	}
	where, err := s.engine.Images().SaveLogin(c.ServerAddress, toAuth(c))
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, loginAnswer{Where: where})
}

// logout forgets what login has kept.
func (s *Server) logout(w http.ResponseWriter, r *http.Request) error {
	var c dockerregistry.AuthConfig
	if err := readJSON(r, &c); err != nil {
		return err
	}
	if err := s.engine.Images().Logout(c.ServerAddress); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func toAuth(c dockerregistry.AuthConfig) registry.Auth {
	return registry.Auth{Username: c.Username, Password: c.Password, IdentityToken: c.IdentityToken, RegistryToken: c.RegistryToken}
}
