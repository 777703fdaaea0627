//go:build linux

// Command vmlaunch turns itself into a process of a container. vminitd starts
// it in new namespaces for a container's first process, and in the machine's
// own for further ones, which join the first one's.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/skerry-app/skerry/guest/api/reason"
	"github.com/skerry-app/skerry/guest/launch"
)

func main() {
	// Namespaces, root and identity belong to the thread, and execve(2) keeps
	// the calling thread's.
	runtime.LockOSThread()
	control := os.NewFile(launch.ControlFD, "control")
	unix.CloseOnExec(launch.ControlFD)
	if err := run(control); err != nil {
		m := launch.Message{Error: err.Error()}
		var f *failure
		if errors.As(err, &f) {
			m.Reason = f.reason
		}
		json.NewEncoder(control).Encode(m)
		os.Exit(1)
	}
}

// failure is an error with a reason that the host understands.
type failure struct {
	reason string
	err    error
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

func run(control *os.File) error {
	in := bufio.NewReader(control)
	line, err := in.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("read what to launch: %w", err)
	}
	var s launch.Spec
	if err := json.Unmarshal(line, &s); err != nil {
		return fmt.Errorf("read what to launch: %w", err)
	}
	if s.Root != nil {
		err = enterNew(*s.Root, s.Privileged)
	} else {
		err = enterExisting(s.Target)
	}
	if err != nil {
		return err
	}
	master := -1
	if s.Terminal {
		if master, err = openTerminal(s.Rows, s.Cols); err != nil {
			return err
		}
	}
	if err := ready(control, master); err != nil {
		return err
	}
	if _, err := in.ReadByte(); err != nil {
		os.Exit(0) // deleted before it was started
	}
	return become(s)
}

// ready says that all is prepared and hands the terminal over.
func ready(control *os.File, master int) error {
	text, err := json.Marshal(launch.Message{Ready: true})
	if err != nil {
		return err
	}
	var rights []byte
	if master >= 0 {
		defer unix.Close(master)
		rights = unix.UnixRights(master)
	}
	if err := unix.Sendmsg(launch.ControlFD, append(text, '\n'), rights, nil, 0); err != nil {
		return fmt.Errorf("say that the process is ready: %w", err)
	}
	return nil
}

// become executes the process.
func become(s launch.Spec) error {
	id, err := lookUpUser(s.User, s.Groups)
	if err != nil {
		return &failure{reason.User, err}
	}
	if err := enterDirectory(s.Cwd); err != nil {
		return &failure{reason.Directory, err}
	}
	env := completeEnv(s.Env, id.home, s.Terminal)
	path, err := lookUpProgram(s.Args[0], env)
	if err != nil {
		return err
	}
	if s.Terminal {
		if err := unix.Fchown(0, id.uid, -1); err != nil && !errors.Is(err, unix.EPERM) {
			return fmt.Errorf("give the terminal to the user: %w", err)
		}
	}
	if err := assume(id, s.Privileged, s.NoNewPrivs); err != nil {
		return err
	}
	unix.Umask(0o022)
	err = unix.Exec(path, s.Args, env)
	return execFailure(s.Args[0], err)
}
