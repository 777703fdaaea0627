// Package home says where Skerry keeps its state, so that the app and the
// command line agree on one place without knowing anything else of each other.
package home

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
)

// Variable names the environment variable that moves all state.
const Variable = "SKERRY_HOME"

// Dir is an absolute path: the directory that holds all of Skerry's state.
type Dir string

// Find returns the directory from the environment: SKERRY_HOME, else
// ~/Library/Application Support/Skerry on macOS, else $XDG_DATA_HOME/skerry
// (XDG base directory specification), else ~/.local/share/skerry. It does not
// create it. An error says why the directory cannot serve.
func Find() (Dir, error) {
	return find(runtime.GOOS, os.Getenv)
}

func find(goos string, getenv func(string) string) (Dir, error) {
	dir, err := choose(goos, getenv)
	if err != nil {
		return "", err
	}
	d := Dir(dir)
	if longest := maxSocketPath(goos); len(d.Socket()) > longest {
		return "", fmt.Errorf("the socket's path %s has %d bytes, and the system allows %d: set %s to a shorter path",
			d.Socket(), len(d.Socket()), longest, Variable)
	}
	return d, nil
}

func choose(goos string, getenv func(string) string) (string, error) {
	if dir := getenv(Variable); dir != "" {
		abs, err := filepath.Abs(dir)
		if err != nil {
			return "", fmt.Errorf("make %s=%s absolute: %w", Variable, dir, err)
		}
		return abs, nil
	}
	// The specification says that a relative XDG_DATA_HOME is to be ignored.
	if xdg := getenv("XDG_DATA_HOME"); goos != "darwin" && filepath.IsAbs(xdg) {
		return filepath.Join(xdg, "skerry"), nil
	}
	user := getenv("HOME")
	if user == "" {
		return "", errors.New("neither " + Variable + " nor HOME is set: set " + Variable + " to the directory for Skerry's state")
	}
	if goos == "darwin" {
		return filepath.Join(user, "Library", "Application Support", "Skerry"), nil
	}
	return filepath.Join(user, ".local", "share", "skerry"), nil
}

// maxSocketPath is the size of sockaddr_un.sun_path less its final NUL:
// unix(7) on Linux, unix(4) on macOS.
func maxSocketPath(goos string) int {
	if goos == "linux" {
		return 107
	}
	return 103
}

// Run is the directory of sockets and other things that live only while the
// app runs. It belongs to the user alone (mode 0700).
func (d Dir) Run() string { return filepath.Join(string(d), "run") }

// Socket is where the app serves its API.
func (d Dir) Socket() string { return filepath.Join(d.Run(), "docker.sock") }

// AppLog is where the app writes when the command line started it.
func (d Dir) AppLog() string { return filepath.Join(string(d), "logs", "app.log") }

// LaunchLock is held by a command line while it starts the app, so that two
// of them do not start two.
func (d Dir) LaunchLock() string { return filepath.Join(d.Run(), "launch.lock") }

// Settings is the file in which the user says what the app should be like.
func (d Dir) Settings() string { return filepath.Join(string(d), "config.toml") }

// Projects is the list of project files that were opened or brought up.
func (d Dir) Projects() string { return filepath.Join(string(d), "projects.json") }
