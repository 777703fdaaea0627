// Package nbd reads the URLs of network block devices.
package nbd

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"unicode/utf8"
)

const (
	// defaultPort is where a server listens unless the URL says otherwise (IANA,
	// "nbd").
	defaultPort = 10809
	// maxExport is how long an export's name may be, in bytes (NBD protocol,
	// "Values": strings).
	maxExport = 4096
	// maxSocket is how many bytes the path of a socket may have: an address holds
	// a zero byte at its end as well (unix(7), unix(4)).
	maxSocket = len(syscall.RawSockaddrUnix{}.Path) - 1
)

// Address is where a network block device is served.
type Address struct {
	TLS    bool
	Host   string // a name or an address; empty: Socket
	Port   uint16
	Socket string // absolute path of a unix socket; empty: Host
	Export string // empty: the server's default
}

// hostName is the name of a host (RFC 1123, section 2.1, and underscores).
var hostName = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?$`)

// Parse reads the URL of a network block device (NBD, doc/uri.md):
// nbd://host[:port]/export, nbd+unix:///export?socket=/path, and nbds for nbd
// where the connection is encrypted. It takes no credentials.
func Parse(text string) (Address, error) {
	a, err := parse(text)
	if err != nil {
		// Without the URL: what is wrong with it may be a password.
		return Address{}, fmt.Errorf("the URL of the network block device %w; use one such as nbd://host:%d/export or nbd+unix:///export?socket=/path", err, defaultPort)
	}
	return a, nil
}

func parse(text string) (Address, error) {
	u, err := url.Parse(text)
	if err != nil {
		var why *url.Error
		if errors.As(err, &why) {
			err = why.Err
		}
		return Address{}, fmt.Errorf("cannot be read: %w", err)
	}
	a := Address{TLS: strings.HasPrefix(u.Scheme, "nbds"), Export: strings.TrimPrefix(u.Path, "/")}
	query, err := url.ParseQuery(u.RawQuery)
	switch {
	case err != nil:
		return Address{}, fmt.Errorf("cannot be read: %w", err)
	case u.Opaque != "":
		return Address{}, errors.New("has no // behind its scheme")
	case u.User != nil:
		return Address{}, errors.New("has a user, which nothing here would use")
	case u.Fragment != "":
		return Address{}, errors.New(`has a part behind "#" (write %23 in a name)`)
	case len(a.Export) > maxExport:
		return Address{}, fmt.Errorf("names an export of %d bytes: at most %d are possible", len(a.Export), maxExport)
	case !utf8.ValidString(a.Export) || strings.ContainsRune(a.Export, 0):
		return Address{}, errors.New("names an export that is not text")
	}
	for key := range query {
		if key != "socket" || len(query[key]) > 1 {
			return Address{}, fmt.Errorf("has %q, which nothing here would use", key)
		}
	}
	socket, hasSocket := query.Get("socket"), query.Has("socket")
	switch u.Scheme {
	case "nbd", "nbds":
		if hasSocket {
			return Address{}, fmt.Errorf("has a socket: its scheme would be %s+unix", u.Scheme)
		}
		a.Host, a.Port, err = hostAndPort(u)
	case "nbd+unix", "nbds+unix":
		if u.Host != "" {
			return Address{}, errors.New("has a host and a unix socket: write three slashes before the export")
		}
		a.Socket, err = socket, checkSocket(socket)
	default:
		err = fmt.Errorf("has the scheme %q", u.Scheme)
	}
	return a, err
}

func hostAndPort(u *url.URL) (host string, port uint16, err error) {
	host = u.Hostname()
	address, aerr := netip.ParseAddr(host)
	switch {
	case host == "":
		return "", 0, errors.New("names no host")
	case aerr == nil && address.Zone() != "":
		return "", 0, errors.New("has an address with a zone")
	case aerr != nil && !hostName.MatchString(host):
		return "", 0, fmt.Errorf("names the host %q", host)
	case u.Port() == "":
		return host, defaultPort, nil
	}
	number, err := strconv.ParseUint(u.Port(), 10, 16)
	if err != nil || number == 0 {
		return "", 0, fmt.Errorf("has the port %q: use 1 to 65535", u.Port())
	}
	return host, uint16(number), nil
}

func checkSocket(path string) error {
	switch {
	case path == "":
		return errors.New("names no socket")
	case !filepath.IsAbs(path):
		return fmt.Errorf("has a socket %q, which is not an absolute path", path)
	case len(path) > maxSocket:
		return fmt.Errorf("has a socket with a path of %d bytes: at most %d are possible", len(path), maxSocket)
	case !utf8.ValidString(path) || strings.ContainsRune(path, 0):
		return errors.New("has a socket whose path is not text")
	}
	return nil
}

// String is the URL, the same for all ways to write it.
func (a Address) String() string {
	u := url.URL{Scheme: "nbd", Path: "/" + a.Export}
	if a.TLS {
		u.Scheme = "nbds"
	}
	if a.Socket != "" {
		u.Scheme += "+unix"
		// The path's slashes may stay as they are (RFC 3986, section 3.4).
		u.RawQuery = "socket=" + strings.ReplaceAll(url.QueryEscape(filepath.Clean(a.Socket)), "%2F", "/")
		return u.Scheme + "://" + u.EscapedPath() + "?" + u.RawQuery
	}
	u.Host = net.JoinHostPort(strings.ToLower(a.Host), strconv.Itoa(int(a.Port)))
	return u.String()
}
