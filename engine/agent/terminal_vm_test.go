//go:build linux

package agent_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/skerry-app/skerry/engine/agent"
	"github.com/skerry-app/skerry/guest/api"
)

// session is a shell at a terminal.
type session struct {
	t   *testing.T
	p   *agent.Process
	out *bufio.Reader
}

func (s *session) send(text string) {
	s.t.Helper()
	if _, err := io.WriteString(s.p.Stdin, text); err != nil {
		s.t.Fatal(err)
	}
}

// until reads up to a line that holds text.
func (s *session) until(text string) {
	s.t.Helper()
	var seen strings.Builder
	for !strings.Contains(seen.String(), text) {
		line, err := s.out.ReadString('\n')
		seen.WriteString(line)
		if err != nil {
			s.t.Fatalf("%v before %q in %q", err, text, seen.String())
		}
	}
}

func (g *guest) testTerminal(t *testing.T) {
	p := g.start(t, &api.Process{Args: []string{"sh"}, Terminal: true, Rows: 24, Columns: 100, User: "anna", Env: []string{"PS1=> "}},
		agent.Stdio{Stdin: true, Stdout: true})
	must(t, p.Stdout.SetReadDeadline(deadlineOf(t)))
	s := &session{t, p, bufio.NewReader(p.Stdout)}
	s.send("stty size; echo is $TERM\n")
	s.until("24 100\r\n")
	s.until("is xterm\r\n")
	s.send("tty; stat -c 'owner %u' $(tty)\n")
	s.until("/dev/pts/")
	s.until("owner 1000")
	must(t, p.Resize(deadline(t), 50, 132))
	s.send("stty size\n")
	s.until("50 132\r\n")
	// The process is told of it. (A shell that edits a line keeps that to itself.)
	s.send("sh -c 'trap \"stty size; exit\" WINCH; echo trapped $((1+1)); while :; do sleep 0.1; done'\n")
	s.until("trapped 2\r\n")
	must(t, p.Resize(deadline(t), 40, 80))
	s.until("40 80\r\n")
	// Ctrl-C is for the foreground, not for the shell.
	s.send("echo ready $((2+2)); sleep 1000; echo status $?\n")
	s.until("ready 4\r\n")
	g.until(t, "sleep 1000")
	s.send("\x03")
	s.send("echo still $((3+3))\n")
	s.until("still 6\r\n")
	s.send("exit 5\n")
	if e, err := p.Wait(deadline(t)); err != nil || e.Code != 5 {
		t.Errorf("%+v %v", e, err)
	}
}

// until waits for a command to run in the container.
func (g *guest) until(t *testing.T, command string) {
	t.Helper()
	for ctx := deadline(t); ; {
		list, err := g.client.List(ctx)
		must(t, err)
		for _, p := range list {
			if p.Command == command {
				return
			}
		}
	}
}

// testTerminalEnd wants all that was written before the end, of any size.
func (g *guest) testTerminalEnd(t *testing.T) {
	for _, lines := range []int{1, 100, 20_000} {
		r := g.run(t, &api.Process{Args: []string{"seq", fmt.Sprint(lines)}, Terminal: true}, nil)
		var want bytes.Buffer
		for i := range lines {
			fmt.Fprintf(&want, "%d\r\n", i+1)
		}
		if r.out != want.String() || r.Code != 0 {
			t.Errorf("%d lines: got %d bytes of %d, status %d", lines, len(r.out), want.Len(), r.Code)
		}
	}
	// Nobody reads, and it ends all the same.
	p := g.start(t, &api.Process{Args: []string{"seq", "20000"}, Terminal: true}, agent.Stdio{})
	if e, err := p.Wait(deadline(t)); err != nil || e.Code != 0 {
		t.Errorf("without a reader: %+v %v", e, err)
	}
	if err := p.Resize(deadline(t), 1, 1); err != nil {
		t.Errorf("resize after the end: %v", err)
	}
	if _, err := g.client.CreateProcess(deadline(t), &api.Process{Id: "both", Args: []string{"true"}, Terminal: true}, agent.Stdio{Stderr: true}); err == nil {
		t.Error("a terminal and a stderr of its own were accepted")
	}
	p = g.start(t, &api.Process{Args: []string{"sleep", "1000"}}, agent.Stdio{})
	if err := p.Resize(deadline(t), 1, 1); err == nil || !strings.Contains(err.Error(), "no terminal") {
		t.Errorf("resize without a terminal: %v", err)
	}
}
