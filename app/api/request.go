package api

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxBody is the size of the largest body that is read, in bytes.
const maxBody = 4 << 20

// readJSON decodes a request's body, all of it, into v. Fields that v does
// not have are ignored: newer clients send more.
func readJSON(r *http.Request, v any) error {
	data, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, maxBody))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return invalid("the request's body is larger than %d bytes", tooLarge.Limit)
	case err != nil:
		return invalid("read the request's body: %v", err)
	case len(data) == 0:
		return invalid("the request has no body")
	}
	if err := json.Unmarshal(data, v); err != nil {
		return invalid("the request's body is not what it should be: %v", err)
	}
	return nil
}

// boolean reads a flag of the query as Docker does: anything but a word for
// "no" is true.
func boolean(r *http.Request, key string) bool {
	switch strings.ToLower(strings.TrimSpace(r.URL.Query().Get(key))) {
	case "", "0", "no", "false", "none":
		return false
	}
	return true
}

// integer reads a number of the query; ok is false when there is none.
func integer(r *http.Request, key string) (n int, ok bool, err error) {
	s := r.URL.Query().Get(key)
	if s == "" {
		return 0, false, nil
	}
	if n, err = strconv.Atoi(s); err != nil {
		return 0, false, invalid("%s=%q is not a number", key, s)
	}
	return n, true, nil
}

// terminalSize reads the height and width of a terminal from the query.
func terminalSize(r *http.Request) (rows, columns uint16, err error) {
	var size [2]uint16
	for i, key := range []string{"h", "w"} {
		n, ok, err := integer(r, key)
		if err != nil {
			return 0, 0, err
		}
		if !ok || n < 0 || n > math.MaxUint16 {
			return 0, 0, invalid("%s=%q is not a terminal's size", key, r.URL.Query().Get(key))
		}
		size[i] = uint16(n)
	}
	return size[0], size[1], nil
}

// moment reads a time of the query: seconds since 1970 with up to nine
// decimals, or RFC 3339. Absent and "0" are the zero time.
func moment(r *http.Request, key string) (time.Time, error) {
	s := r.URL.Query().Get(key)
	if s == "" || s == "0" {
		return time.Time{}, nil
	}
	if t, err := time.Parse(time.RFC3339Nano, s); err == nil {
		return t, nil
	}
	whole, fraction, _ := strings.Cut(s, ".")
	seconds, err := strconv.ParseInt(whole, 10, 64)
	var nanos int64
	if err == nil && fraction != "" {
		nanos, err = strconv.ParseInt((fraction + "000000000")[:9], 10, 64)
	}
	if err != nil || nanos < 0 {
		return time.Time{}, invalid("%s=%q is not a time: use seconds since 1970 or RFC 3339", key, s)
	}
	return time.Unix(seconds, nanos), nil
}

// seconds reads a duration of the query; nil when there is none. Docker's -1
// stands for ever.
func seconds(r *http.Request, key string) (*time.Duration, error) {
	n, ok, err := integer(r, key)
	if !ok {
		return nil, err
	}
	d := inSeconds(n)
	return &d, nil
}

// inSeconds avoids the overflow of an absurd number.
func inSeconds(n int) time.Duration {
	const most = int(math.MaxInt64 / time.Second)
	return time.Duration(min(max(n, -1), most)) * time.Second
}

// withoutCancel is for what goes on when the client goes away.
func withoutCancel(r *http.Request) context.Context { return context.WithoutCancel(r.Context()) }

func trimSlash(name string) string { return strings.TrimPrefix(name, "/") }
