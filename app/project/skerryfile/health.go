package skerryfile

import (
	"strconv"
	"strings"
	"time"
)

// HealthCheck is how to find out whether a container works. Zero values are the
// engine's defaults.
type HealthCheck struct {
	// Test is in Docker's words: CMD and a program with its arguments, CMD-SHELL
	// and a line, NONE; and HTTP with a port and a path, and TCP with a port.
	Test                                          []string
	Interval, Timeout, StartPeriod, StartInterval time.Duration
	Retries                                       int
}

var healthKeys = []key[HealthCheck]{
	{name: "test", typ: "a string or a list of strings", def: "the image's", shape: words,
		doc:  "A command in the container that succeeds while it works: a string for its shell, or a list with a program and its arguments.",
		read: func(r *reader, n *node, h *HealthCheck) { h.Test = append(h.Test, r.healthCommand(n)...) }},
	{name: "http", typ: `a port and a path such as ":8080/ready"`, shape: aText,
		doc:  "A port and path that answer by HTTP, with a status from 200 to 399, while it works. Needs nothing in the image.",
		read: func(r *reader, n *node, h *HealthCheck) { h.Test = append(h.Test, r.healthHTTP(n)...) }},
	{name: "tcp", typ: "a port such as 5432", shape: aPort,
		doc: "A port that takes connections while it works. Needs nothing in the image.",
		read: func(r *reader, n *node, h *HealthCheck) {
			h.Test = append(h.Test, "TCP", strconv.Itoa(int(r.port(n))))
		}},
	{name: "interval", typ: `a duration in quotes such as "10s"`, def: `"30s"`, shape: aDuration,
		doc:  "The time between two checks.",
		read: func(r *reader, n *node, h *HealthCheck) { h.Interval = r.healthTime(n) }},
	{name: "timeout", typ: `a duration in quotes such as "10s"`, def: `"30s"`, shape: aDuration,
		doc:  "How long a check may take.",
		read: func(r *reader, n *node, h *HealthCheck) { h.Timeout = r.healthTime(n) }},
	{name: "retries", typ: "a whole number such as 3", def: "3", shape: aCount,
		doc:  "How many failures in a row make it unhealthy.",
		read: func(r *reader, n *node, h *HealthCheck) { h.Retries = r.count(n) }},
	{name: "start_period", typ: `a duration in quotes such as "10s"`, def: `"0s"`, shape: aDuration,
		doc:  "The time at the start in which failures do not count.",
		read: func(r *reader, n *node, h *HealthCheck) { h.StartPeriod = r.healthTime(n) }},
	{name: "start_interval", typ: `a duration in quotes such as "10s"`, def: `"5s"`, shape: aDuration,
		doc:  "The time between two checks then.",
		read: func(r *reader, n *node, h *HealthCheck) { h.StartInterval = r.healthTime(n) }},
	{name: "disable", typ: "true or false", def: "false", shape: aBoolean,
		doc: "Do not check, whatever the image says.",
		read: func(r *reader, n *node, h *HealthCheck) {
			if r.boolean(n) {
				h.Test = []string{"NONE"}
			}
		}},
}

func (r *reader) health(n *node) *HealthCheck {
	if !n.isTable() {
		r.add(n.at, `healthcheck must be a table such as { http = ":8080/ready" } or { test = "pg_isready" }, not %s`, n.kind())
		return nil
	}
	h := &HealthCheck{}
	r.table("healthcheck", n, func() { readTable(r, healthKeys, n, h) })
	var tests []string
	for _, name := range []string{"test", "http", "tcp"} {
		if n.table[name] != nil {
			tests = append(tests, name)
		}
	}
	disabled := len(h.Test) == 1 && h.Test[0] == "NONE"
	switch {
	case len(tests) > 1:
		r.add(n.at, "healthcheck: %s cannot be together; use one of test, http and tcp", strings.Join(tests, " and "))
	case len(tests) == 0 && !disabled:
		r.add(n.at, `healthcheck says no check: add test, http or tcp, such as http = ":8080/ready"`)
	}
	return h
}

// healthCommand accepts compose's lists that begin with CMD or CMD-SHELL, too.
func (r *reader) healthCommand(n *node) []string {
	if !n.isArray {
		line, ok := r.text(n)
		if ok && strings.TrimSpace(line) == "" {
			r.invalid(n, line)
		}
		return []string{"CMD-SHELL", line}
	}
	words, _ := r.strings(n)
	switch {
	case len(words) == 0:
		r.add(n.at, `test must not be empty; such as ["pg_isready", "-U", "postgres"]`)
	case words[0] == "CMD-SHELL" && len(words) != 2:
		r.add(n.at, `test: "CMD-SHELL" is followed by one string, the line for the shell`)
	case words[0] == "CMD" && len(words) < 2:
		r.add(n.at, `test: "CMD" is followed by a program`)
	case words[0] == "NONE":
		r.add(n.at, `test: "NONE" is written disable = true here`)
	case words[0] == "CMD", words[0] == "CMD-SHELL":
		return words
	}
	return append([]string{"CMD"}, words...)
}

func (r *reader) healthHTTP(n *node) []string {
	text, ok := r.text(n)
	if !ok {
		return nil
	}
	port, rest, _ := strings.Cut(strings.TrimPrefix(text, ":"), "/")
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil || number == 0 || strings.ContainsAny(rest, " \t\n") {
		r.invalid(n, text)
		return nil
	}
	return []string{"HTTP", port, "/" + rest}
}

// healthTime is a duration that is not too short to be meant.
func (r *reader) healthTime(n *node) time.Duration {
	d := r.duration(n)
	if d == nil {
		return 0
	}
	if *d != 0 && *d < time.Millisecond {
		r.add(n.at, "%s must be at least \"1ms\", not %q", r.key, *d)
	}
	return *d
}
