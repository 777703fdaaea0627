package project

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"strconv"
	"strings"

	"github.com/skerry-app/skerry/app/label"
	"github.com/skerry-app/skerry/app/project/skerryfile"
	"github.com/skerry-app/skerry/engine"
)

// containerName is what a project's container is called outside of it.
func containerName(project, container string) string { return project + "-" + container }

// spec is what the engine makes of a project's container.
func spec(p *skerryfile.Project, c *skerryfile.Container) (engine.Spec, error) {
	s := engine.Spec{
		Name: containerName(p.Name, c.Name), Image: c.Image, Platform: c.Platform,
		Entrypoint: c.Entrypoint, Command: c.Command, Env: c.Environment,
		WorkingDir: c.WorkingDir, User: c.User, Hostname: c.Hostname, TTY: c.TTY,
		CPUs: c.CPUs, Memory: c.Memory, Pod: c.Pod,
		Network: p.Name, Aliases: []string{c.Name}, ExtraHosts: c.ExtraHosts,
		Privileged: c.Privileged, ReadOnly: c.ReadOnly,
		StopSignal: c.StopSignal, StopTimeout: c.StopGracePeriod,
		Labels: maps.Clone(c.Labels),
	}
	for _, port := range c.Ports {
		s.Ports = append(s.Ports, engine.Port{HostIP: port.HostIP, HostPort: port.HostPort, Container: port.Container, Protocol: "tcp"})
	}
	hash, err := hashOf(s)
	if err != nil {
		return s, fmt.Errorf("container %s: %w", c.Name, err)
	}
	if s.Labels == nil {
		s.Labels = map[string]string{}
	}
	s.Labels[label.Project] = p.Name
	s.Labels[label.Container] = c.Name
	s.Labels[label.File] = p.File
	s.Labels[label.Hash] = hash
	if len(c.DependsOn) > 0 {
		s.Labels[label.DependsOn] = strings.Join(c.DependsOn, ",")
	}
	if c.WebPort != 0 {
		s.Labels[label.WebPort] = strconv.Itoa(int(c.WebPort))
	}
	return s, nil
}

// hashOf is equal for equal specs. Empty fields do not take part, so that a
// newer Skerry with more fields does not find every container changed.
func hashOf(s engine.Spec) (string, error) {
	text, err := json.Marshal(s)
	if err != nil {
		return "", err
	}
	var fields map[string]any
	if err := json.Unmarshal(text, &fields); err != nil {
		return "", err
	}
	maps.DeleteFunc(fields, func(name string, value any) bool {
		switch v := value.(type) {
		case nil:
			return true
		case []any: // an empty command is not the same as none: it clears the image's
			return len(v) == 0 && name != "Entrypoint" && name != "Command"
		case map[string]any:
			return len(v) == 0
		}
		return value == "" || value == 0.0 || value == false
	})
	text, err = json.Marshal(fields)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), nil
}
