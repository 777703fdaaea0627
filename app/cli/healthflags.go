package cli

import (
	"errors"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/spf13/pflag"
)

// healthFlags say how to find out whether a container works.
type healthFlags struct {
	command, http, tcp                            string
	none                                          bool
	interval, timeout, startPeriod, startInterval time.Duration
	retries                                       int
	flags                                         *pflag.FlagSet
}

func (f *healthFlags) register(fs *pflag.FlagSet) {
	f.flags = fs
	fs.StringVar(&f.command, "health-cmd", "", "shell command in the container that succeeds while it works")
	fs.StringVar(&f.http, "health-http", "", "port and path that answer by HTTP while it works, such as 8080/ready; needs nothing in the image")
	fs.StringVar(&f.tcp, "health-tcp", "", "port that takes connections while it works; needs nothing in the image")
	fs.BoolVar(&f.none, "no-healthcheck", false, "do not check, whatever the image says")
	fs.DurationVar(&f.interval, "health-interval", 0, "time between checks (30s)")
	fs.DurationVar(&f.timeout, "health-timeout", 0, "time that a check may take (30s)")
	fs.IntVar(&f.retries, "health-retries", 0, "failures in a row that make it unhealthy (3)")
	fs.DurationVar(&f.startPeriod, "health-start-period", 0, "time at its start in which failures do not count (0s)")
	fs.DurationVar(&f.startInterval, "health-start-interval", 0, "time between checks then (5s)")
}

// check is what the API takes, nil where nothing is asked for. Tests other than
// a command's are Skerry's own.
func (f *healthFlags) check() (*container.HealthConfig, error) {
	h := &container.HealthConfig{Interval: f.interval, Timeout: f.timeout, Retries: f.retries, StartPeriod: f.startPeriod, StartInterval: f.startInterval}
	var tests [][]string
	if f.command != "" {
		tests = append(tests, []string{"CMD-SHELL", f.command})
	}
	if f.http != "" {
		port, path, _ := strings.Cut(strings.TrimPrefix(f.http, ":"), "/")
		tests = append(tests, []string{"HTTP", port, "/" + path})
	}
	if f.tcp != "" {
		tests = append(tests, []string{"TCP", strings.TrimPrefix(f.tcp, ":")})
	}
	if f.none {
		tests = append(tests, []string{"NONE"})
	}
	switch len(tests) {
	case 0:
		if h.Interval+h.Timeout+h.StartPeriod+h.StartInterval != 0 || h.Retries != 0 {
			return nil, errors.New("--health-interval and the like say how a check is made, and none is: add --health-cmd, --health-http or --health-tcp")
		}
		return nil, nil
	case 1:
		h.Test = tests[0]
		return h, nil
	}
	return nil, errors.New("--health-cmd, --health-http, --health-tcp and --no-healthcheck: one of them is enough")
}
