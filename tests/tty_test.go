package tests

import (
	"fmt"
	"strings"
	"testing"

	"github.com/creack/pty"
)

// TestTerminal runs a shell in a terminal, resizes it and leaves it.
func TestTerminal(t *testing.T) {
	eachClient(t, func(t *testing.T, a *app, client string) {
		cmd := a.command(t.Context(), client, "run", "--rm", "-it", testImage, "sh")
		terminal, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 33, Cols: 111})
		if err != nil {
			t.Fatal(err)
		}
		defer terminal.Close()
		screen := &lockedBuffer{}
		read := make(chan struct{})
		go func() {
			defer close(read)
			buf := make([]byte, 4096)
			for {
				n, err := terminal.Read(buf)
				screen.Write(buf[:n])
				if err != nil {
					return
				}
			}
		}()
		// The marks are computed, so that the echo of what was typed is not
		// taken for the answer.
		ask := func(command, answer string) {
			t.Helper()
			fmt.Fprintf(terminal, "%s; echo done-$((40+2))\n", command)
			a.eventually(command, func() error { return has(screen.String(), answer) })
		}
		a.eventually("a prompt", func() error { return has(screen.String(), "# ") })
		ask("stty size", "33 111\r\ndone-42")
		if err := pty.Setsize(terminal, &pty.Winsize{Rows: 44, Cols: 122}); err != nil {
			t.Fatal(err)
		}
		a.eventually("the new size", func() error {
			fmt.Fprint(terminal, "stty size\n")
			return has(screen.String(), "44 122\r\n")
		})
		// Ctrl-C goes to the foreground process, once there is one: the shell
		// itself takes no notice.
		const sleeps = "sleeps-43\r\n"
		fmt.Fprint(terminal, "echo sleeps-$((40+3)); sleep 1000\n")
		a.eventually("it sleeps", func() error { return has(screen.String(), sleeps) })
		a.eventually("Ctrl-C ends it", func() error {
			fmt.Fprint(terminal, "\x03")
			_, after, _ := strings.Cut(screen.String(), sleeps)
			return has(after, "# ")
		})
		ask("tty", "/dev/")
		fmt.Fprint(terminal, "exit 9\n")
		if err := cmd.Wait(); cmd.ProcessState.ExitCode() != 9 {
			t.Errorf("%v\n%s", err, screen)
		}
		<-read
		if strings.Contains(screen.String(), "error") {
			t.Errorf("the screen shows\n%s", screen)
		}
	})
}

// TestDetachKeys leaves a container running with ctrl-p ctrl-q.
func TestDetachKeys(t *testing.T) {
	eachClient(t, func(t *testing.T, a *app, client string) {
		name := "detached-" + client
		cmd := a.command(t.Context(), client, "run", "--name", name, "-it", testImage, "sh")
		terminal, err := pty.Start(cmd)
		if err != nil {
			t.Fatal(err)
		}
		defer terminal.Close()
		screen := &lockedBuffer{}
		go func() {
			buf := make([]byte, 4096)
			for {
				n, err := terminal.Read(buf)
				screen.Write(buf[:n])
				if err != nil {
					return
				}
			}
		}()
		a.eventually("a prompt", func() error { return has(screen.String(), "# ") })
		fmt.Fprint(terminal, "\x10\x11")
		if err := cmd.Wait(); err != nil {
			t.Errorf("%v\n%s", err, screen)
		}
		if state := a.ok(client, "inspect", "-f", "{{.State.Running}}", name); state != "true\n" {
			t.Errorf("running: %q", state)
		}
		a.ok(client, "rm", "-f", name)
	})
}
