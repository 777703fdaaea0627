package registry

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/containers/image/v5/docker"
	"github.com/docker/distribution/registry/api/errcode"
	v2 "github.com/docker/distribution/registry/api/v2"
)

// explain gives an error of a registry its class and says what to do. It is for
// errors of the talk itself; those that have a class keep it.
func explain(err error, domain string, withCredentials bool) error {
	switch {
	case errors.Is(err, context.Canceled), classified(err):
		return err
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, errStalled):
		return fmt.Errorf("%w: registry %s does not answer in time: try again later: %w", errdefs.ErrUnavailable, domain, err)
	case isDenied(err) && withCredentials:
		return fmt.Errorf("%w: registry %s refused the credentials, or there is no such image for them: log in again, check the name: %w",
			errdefs.ErrUnauthenticated, domain, err)
	case isDenied(err):
		return fmt.Errorf("%w: registry %s wants a login, or there is no such image: log in to %[2]s, check the name: %w",
			errdefs.ErrUnauthenticated, domain, err)
	case isUnknown(err):
		return fmt.Errorf("%w in the registry: check the name and tag: %w", errdefs.ErrNotFound, err)
	case errors.Is(err, docker.ErrTooManyRequests):
		return fmt.Errorf("%w: registry %s allows no more requests for now: log in, or try again later: %w", errdefs.ErrUnavailable, domain, err)
	}
	return explainConnection(err, domain)
}

func explainConnection(err error, domain string) error {
	var dns *net.DNSError
	var op *net.OpError
	var record tls.RecordHeaderError
	var certificate *tls.CertificateVerificationError
	var authority x509.UnknownAuthorityError
	var status docker.UnexpectedHTTPStatusError
	switch {
	case errors.As(err, &dns):
		return fmt.Errorf("%w: registry %s: the host name has no address: check the name and the network: %w", errdefs.ErrUnavailable, domain, err)
	case errors.As(err, &certificate), errors.As(err, &authority):
		return fmt.Errorf("%w: registry %s has a certificate that this machine does not trust: add its authority to the system's, or to ~/.config/containers/certs.d/%[2]s: %w",
			errdefs.ErrFailedPrecondition, domain, err)
	case errors.As(err, &record), strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return fmt.Errorf("%w: registry %s does not speak TLS; only one on this machine may do without: %w", errdefs.ErrFailedPrecondition, domain, err)
	case errors.As(err, &op) && op.Op == "dial":
		return fmt.Errorf("%w: registry %s: nothing answered: check that it runs and the address is right: %w", errdefs.ErrUnavailable, domain, err)
	case errors.As(err, &status) && status.StatusCode >= http.StatusInternalServerError:
		return fmt.Errorf("%w: registry %s has a fault: try again later: %w", errdefs.ErrUnavailable, domain, err)
	case passes(err):
		return fmt.Errorf("%w: registry %s: the connection broke: try again: %w", errdefs.ErrUnavailable, domain, err)
	}
	return fmt.Errorf("registry %s: %w", domain, err)
}

func classified(err error) bool {
	for _, class := range []error{errdefs.ErrNotFound, errdefs.ErrInvalidArgument, errdefs.ErrConflict, errdefs.ErrUnauthenticated,
		errdefs.ErrUnavailable, errdefs.ErrDataLoss, errdefs.ErrResourceExhausted, errdefs.ErrNotImplemented, errdefs.ErrFailedPrecondition} {
		if errors.Is(err, class) {
			return true
		}
	}
	return false
}

// isDenied recognises the answers 401 and 403.
func isDenied(err error) bool {
	var credentials docker.ErrUnauthorizedForCredentials
	return errors.As(err, &credentials) || hasCode(err, errcode.ErrorCodeUnauthorized, errcode.ErrorCodeDenied) ||
		hasStatus(err, http.StatusUnauthorized) || hasStatus(err, http.StatusForbidden)
}

// isUnknown recognises the answer 404.
func isUnknown(err error) bool {
	return hasCode(err, v2.ErrorCodeManifestUnknown, v2.ErrorCodeNameUnknown, v2.ErrorCodeBlobUnknown) || hasStatus(err, http.StatusNotFound)
}

func hasCode(err error, codes ...errcode.ErrorCode) bool {
	var coder errcode.ErrorCoder
	if !errors.As(err, &coder) {
		return false
	}
	for _, c := range codes {
		if coder.ErrorCode() == c {
			return true
		}
	}
	return false
}

// hasStatus recognises an answer whose body is not as the distribution-spec has
// it. containers/image shows its status in the text only (docker/errors.go,
// registryHTTPResponseToError).
func hasStatus(err error, code int) bool {
	var status docker.UnexpectedHTTPStatusError
	if errors.As(err, &status) {
		return status.StatusCode == code
	}
	return strings.Contains(err.Error(), fmt.Sprintf("StatusCode: %d, ", code))
}
