package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/common"

	"github.com/skerry-app/skerry/engine"
)

// invalid is an error in the request: 400.
func invalid(format string, a ...any) error {
	return errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf(format, a...))
}

// notImplemented says that a feature is not there: 501. The feature comes with
// its verb, "volumes are".
func notImplemented(feature string) error {
	return errdefs.ErrNotImplemented.WithMessage(feature + " not implemented yet")
}

// status is the HTTP status of an error: that of the outermost class found in
// it (https://docs.docker.com/reference/api/engine/ has the meaning of each).
func status(err error) int {
	var start *engine.StartError
	if errors.As(err, &start) && start.Code != exitEngine {
		return http.StatusBadRequest // as Docker: the container's own fault
	}
	switch class := errdefs.Resolve(err); {
	case errdefs.IsNotFound(class):
		return http.StatusNotFound
	case errdefs.IsInvalidArgument(class), errdefs.IsOutOfRange(class), errdefs.IsFailedPrecondition(class):
		return http.StatusBadRequest
	case errdefs.IsConflict(class), errdefs.IsAlreadyExists(class):
		return http.StatusConflict
	case errdefs.IsUnauthorized(class):
		return http.StatusUnauthorized
	case errdefs.IsPermissionDenied(class):
		return http.StatusForbidden
	case errdefs.IsNotModified(class):
		return http.StatusNotModified
	case errdefs.IsNotImplemented(class):
		return http.StatusNotImplemented
	case errdefs.IsUnavailable(class):
		return http.StatusServiceUnavailable
	default:
		return http.StatusInternalServerError
	}
}

// writeError answers with an error as Docker words it.
func writeError(w http.ResponseWriter, err error) {
	code := status(err)
	if code == http.StatusNotModified {
		w.WriteHeader(code) // has no body: RFC 9110, section 15.4.5
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	writeErrorBody(w, err)
}

func writeErrorBody(w io.Writer, err error) {
	_ = json.NewEncoder(w).Encode(common.ErrorResponse{Message: err.Error()}) // nobody is left to tell
}

// exitEngine is the exit status that stands for the engine's own failure, as
// 126 stands for a command that is not executable and 127 for none.
const exitEngine = 125

// Words that the docker command looks for in the message of a failed start,
// to choose its exit status (cli/command/container/run.go, toStatusError).
var startWords = map[int][]string{
	127: {"executable file not found", "no such file or directory"},
	126: {"permission denied", "is a directory"},
}

// startFailure words the error of a start so that the docker command exits
// with the status that the engine found.
func startFailure(err error) error {
	if err == nil || errdefs.IsNotModified(err) || errors.Is(err, context.Canceled) {
		return err
	}
	code := exitEngine
	var start *engine.StartError
	if errors.As(err, &start) {
		code = start.Code
	}
	message := err.Error()
	for other, words := range startWords {
		if other != code {
			message = mask(message, words)
		}
	}
	if words := startWords[code]; words != nil && !containsAny(message, words) {
		message += " (" + words[0] + ")"
	}
	return reworded{err, message}
}

// mask takes the meaning that the docker command sees in words from a message
// and leaves people's.
func mask(message string, words []string) string {
	for _, w := range words {
		message = strings.ReplaceAll(message, w, strings.ReplaceAll(w, " ", "-"))
	}
	return message
}

func containsAny(s string, words []string) bool {
	for _, w := range words {
		if strings.Contains(s, w) {
			return true
		}
	}
	return false
}

// reworded is an error with another message.
type reworded struct {
	error
	message string
}

func (r reworded) Error() string { return r.message }
func (r reworded) Unwrap() error { return r.error }
