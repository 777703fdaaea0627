// Package registrytest runs a real registry (distribution/distribution) in the
// process and fills it with images made from a few lines, for tests and
// demonstrations that should not depend on the network.
package registrytest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/distribution/distribution/v3/configuration"
	"github.com/distribution/distribution/v3/registry/handlers"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/filesystem" // Options.Dir
	_ "github.com/distribution/distribution/v3/registry/storage/driver/inmemory"   // without it
	"github.com/sirupsen/logrus"
)

// closeTimeout bounds how long Close waits for requests.
const closeTimeout = 5 * time.Second

// Options say what a registry is like. The zero value is open to all, speaks
// plain HTTP on a free port of 127.0.0.1 and keeps its images in memory.
type Options struct {
	Address            string // host:port to listen on
	Dir                string // directory for the images, for those that should stay
	TLS                bool   // with a certificate that nobody has signed
	Username, Password string // asked for with HTTP basic authentication
}

// Server is a registry at work. Its Remote is the way to fill it.
type Server struct {
	Remote
	Host string // as it stands in image names: localhost:41234

	http *http.Server
	app  *handlers.App

	mu       sync.Mutex
	faults   []*Fault
	requests []string
}

// Start runs a registry until the test ends.
func Start(tb testing.TB, o Options) *Server {
	tb.Helper()
	s, err := Serve(tb.Context(), o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Errorf("close the registry: %v", err)
		}
	})
	return s
}

// Serve runs a registry until Close. It turns off what logrus prints for the
// whole process, since the registry logs every request there.
func Serve(ctx context.Context, o Options) (*Server, error) {
	logrus.SetOutput(io.Discard)
	if o.Address == "" {
		o.Address = "127.0.0.1:0"
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", o.Address)
	if err != nil {
		return nil, fmt.Errorf("start a registry: %w", err)
	}
	port := listener.Addr().(*net.TCPAddr).Port
	s := &Server{Host: fmt.Sprintf("localhost:%d", port)}
	s.Remote = Remote{URL: "http://" + s.Host, Username: o.Username, Password: o.Password}
	if o.TLS {
		certificate, err := selfSigned()
		if err != nil {
			return nil, errors.Join(fmt.Errorf("start a registry: %w", err), listener.Close())
		}
		listener = tls.NewListener(listener, &tls.Config{Certificates: []tls.Certificate{certificate}})
		s.URL = "https://" + s.Host
		s.Client = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	}
	// The app lives longer than the context of whoever starts it.
	s.app = handlers.NewApp(context.WithoutCancel(ctx), settings(o.Dir))
	s.http = &http.Server{Handler: s.handler(o), ErrorLog: log.New(io.Discard, "", 0), ReadHeaderTimeout: time.Minute}
	go s.http.Serve(listener)
	return s, nil
}

func settings(dir string) *configuration.Configuration {
	c := &configuration.Configuration{Storage: configuration.Storage{
		"inmemory":    configuration.Parameters{},
		"maintenance": configuration.Parameters{"uploadpurging": map[any]any{"enabled": false}},
		"delete":      configuration.Parameters{"enabled": true},
	}}
	if dir != "" {
		delete(c.Storage, "inmemory")
		c.Storage["filesystem"] = configuration.Parameters{"rootdirectory": dir}
	}
	c.Validation.Disabled = true // indexes may list images that are not there
	c.Catalog.MaxEntries = 1000
	return c
}

// handler puts authentication, counting and faults before the registry.
func (s *Server) handler(o Options) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		if o.Username != "" && (user != o.Username || subtle.ConstantTimeCompare([]byte(password), []byte(o.Password)) != 1) {
			w.Header().Set("WWW-Authenticate", `Basic realm="registry"`)
			http.Error(w, `{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}`, http.StatusUnauthorized)
			return
		}
		s.mu.Lock()
		s.requests = append(s.requests, r.Method+" "+r.URL.Path)
		fault := s.fault(r)
		s.mu.Unlock()
		if fault != nil {
			fault.Do(w, r, s.app)
			return
		}
		s.app.ServeHTTP(w, r)
	})
}

// Requests returns how many requests there were whose "METHOD /path" contains a
// string, such as "GET /v2/team/app/blobs/".
func (s *Server) Requests(containing string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, r := range s.requests {
		if strings.Contains(r, containing) {
			n++
		}
	}
	return n
}

// Close stops the registry and cuts the connections that do not end.
func (s *Server) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	s.Repair()
	err := s.http.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = s.http.Close()
	}
	return errors.Join(err, s.app.Shutdown())
}

// selfSigned makes a certificate for this machine that no authority has signed.
func selfSigned() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		DNSNames:     []string{"localhost"},
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(24 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}
