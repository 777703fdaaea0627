package tests

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"hash"
	"io"
	"math/rand/v2"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// clients are the two commands that must behave alike.
var clients = []string{"skerry", "docker"}

// eachClient runs a test once with each client on the shared app.
func eachClient(t *testing.T, f func(t *testing.T, a *app, client string)) {
	for _, client := range clients {
		t.Run(client, func(t *testing.T) {
			f(t, shared(t), client)
		})
	}
}

func TestRun(t *testing.T) {
	for _, tc := range []struct {
		name   string
		flags  []string
		args   []string
		stdin  string
		stdout string // a regular expression for all of it
		stderr string
		code   int
	}{
		{"echo", nil, []string{"echo", "hi"}, "", `hi\n`, ``, 0},
		{"streams apart", nil, []string{"sh", "-c", "echo out; echo err >&2"}, "", `out\n`, `err\n`, 0},
		{"exit status", nil, []string{"sh", "-c", "exit 42"}, "", ``, ``, 42},
		{"not found", nil, []string{"no-such-command"}, "", ``, `(?s).*not found.*`, 127},
		{"not found by path", nil, []string{"/no/such/command"}, "", ``, `(?s).*no such file.*`, 127},
		{"not executable", nil, []string{"/etc/passwd"}, "", ``, `(?s).*permission denied.*`, 126},
		{"a directory", nil, []string{"/etc"}, "", ``, `(?s).*(permission denied|is a directory).*`, 126},
		{"stdin to its end", []string{"-i"}, []string{"cat"}, "one\ntwo", `one\ntwo`, ``, 0},
		{"no stdin", nil, []string{"wc", "-c"}, "not for the container", `0\n`, ``, 0},
		{"environment", []string{"-e", "A=1", "-e", "B=x y"}, []string{"sh", "-c", "echo $A-$B-$FROM_IMAGE"}, "", `1-x y-yes\n`, ``, 0},
		{"defaults", nil, []string{"sh", "-c", "echo $HOME $PATH"}, "", `/root /usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n`, ``, 0},
		{"working directory is made", []string{"-w", "/made/for/this"}, []string{"pwd"}, "", `/made/for/this\n`, ``, 0},
		{"user by name", []string{"-u", "app"}, []string{"id"}, "", `uid=1000\(app\) gid=1000\(app\) groups=1000\(app\),2000\(staff\)\n`, ``, 0},
		{"user by number", []string{"-u", "40000:40001"}, []string{"id"}, "", `uid=40000 gid=40001 groups=40001\n`, ``, 0},
		{"unknown user", []string{"-u", "nobody-here"}, []string{"id"}, "", ``, `(?s).*nobody-here.*`, 125},
		{"entrypoint", []string{"--entrypoint", "echo"}, []string{"from", "echo"}, "", `from echo\n`, ``, 0},
		{"hostname", []string{"--hostname", "rock"}, []string{"hostname"}, "", `rock\n`, ``, 0},
		{"memory limit", []string{"-m", "64m"}, []string{"cat", "/sys/fs/cgroup/memory.max"}, "", `67108864\n`, ``, 0},
		{"one cpu", []string{"--cpus", "1"}, []string{"nproc"}, "", `1\n`, ``, 0},
		{"a fraction of a cpu", []string{"--cpus", "0.5"}, []string{"cat", "/sys/fs/cgroup/cpu.max"}, "", `50000 100000\n`, ``, 0},
		{"terminal without a terminal for the client", []string{"-t"}, []string{"sh", "-c", "tty; echo $TERM"}, "", `/dev/(console|pts/0)\r\nxterm\r\n`, ``, 0},
		{"too little memory", []string{"-m", "1m"}, []string{"true"}, "", ``, `(?s).*memory.*`, 125},
		{"too many cpus", []string{"--cpus", "1000"}, []string{"true"}, "", ``, `(?s).*cpus.*`, 125},
	} {
		t.Run(strings.ReplaceAll(tc.name, " ", "-"), func(t *testing.T) {
			eachClient(t, func(t *testing.T, a *app, client string) {
				args := append(append([]string{"run", "--rm"}, tc.flags...), append([]string{testImage}, tc.args...)...)
				r := a.do(strings.NewReader(tc.stdin), client, args...)
				if !matches(tc.stdout, r.stdout) || !matches(tc.stderr, r.stderr) || r.code != tc.code {
					t.Errorf("%q: exit status %d, stdout %q, stderr %q\nwant %d, %s and %s", args, r.code, r.stdout, r.stderr, tc.code, tc.stdout, tc.stderr)
				}
			})
		})
	}
}

func matches(pattern, s string) bool { return regexp.MustCompile(`\A` + pattern + `\z`).MatchString(s) }

// bulk is how much goes through a stream in the tests of large amounts.
const bulk = 250 << 20

func TestLargeStreamsAreByteExact(t *testing.T) {
	eachClient(t, func(t *testing.T, a *app, client string) {
		// Both streams at once, different data on each.
		const script = `files() { yes $1 | head -n 250; }; cat $(files /pattern-out) & cat $(files /pattern-err) >&2; wait`
		cmd := a.command(t.Context(), client, "run", "--rm", testImage, "sh", "-c", script)
		out, errs := newCounter(pattern("out")), newCounter(pattern("err"))
		cmd.Stdout, cmd.Stderr = out, errs
		if err := cmd.Run(); err != nil {
			t.Fatalf("%v\n%s", err, a.log)
		}
		out.check(t, "stdout")
		errs.check(t, "stderr")
	})
}

func TestLargeInputIsByteExact(t *testing.T) {
	eachClient(t, func(t *testing.T, a *app, client string) {
		want := newCounter(pattern("in"))
		cmd := a.command(t.Context(), client, "run", "--rm", "-i", testImage, "sha256sum")
		cmd.Stdin = io.TeeReader(io.LimitReader(&repeater{text: pattern("in")}, 50<<20), want)
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		if sum := fmt.Sprintf("%x", want.hash.Sum(nil)); !strings.HasPrefix(string(out), sum) {
			t.Errorf("the container read data with the sum %q, want %s", out, sum)
		}
	})
}

func TestDetachedLifeCycle(t *testing.T) {
	eachClient(t, func(t *testing.T, a *app, client string) {
		name := "life-" + client
		id := strings.TrimSpace(a.ok(client, "run", "-d", "--name", name, testImage, "sh", "-c",
			`trap 'echo bye; exit 3' TERM; echo up; while :; do sleep 0.1; done`))
		a.eventually("it is up", func() error { return has(a.ok(client, "logs", name), "up\n") })
		if ps := a.ok(client, "ps", "--format", "{{.ID}} {{.Names}} {{.Image}}"); !strings.Contains(ps, id[:12]+" "+name+" "+testImage) {
			t.Errorf("ps does not list it: %q", ps)
		}
		if out := a.ok(client, "exec", name, "sh", "-c", "echo $$ in $(hostname)"); !strings.Contains(out, "in "+id[:12]) {
			t.Errorf("exec printed %q", out)
		}
		a.fails(7, "", client, "exec", name, "sh", "-c", "exit 7")
		a.fails(127, "not found", client, "exec", name, "no-such-command")
		a.fails(1, "already in use", client, "create", "--name", name, testImage)
		a.fails(1, "stop", client, "rm", name)
		a.ok(client, "stop", name)
		if state := a.ok(client, "inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", name); state != "exited 3\n" {
			t.Errorf("after stop it is %q", state)
		}
		if logs := a.ok(client, "logs", name); logs != "up\nbye\n" {
			t.Errorf("logs are %q", logs)
		}
		if status := a.ok(client, "wait", name); status != "3\n" {
			t.Errorf("wait says %q", status)
		}
		a.ok(client, "start", name)
		a.eventually("it is up again", func() error { return has(a.ok(client, "logs", name), "up\nbye\nup\n") })
		a.ok(client, "kill", "-s", "TERM", name)
		if status := a.ok(client, "wait", name); status != "3\n" {
			t.Errorf("after kill -s TERM wait says %q", status)
		}
		a.ok(client, "start", name)
		a.ok(client, "kill", name)
		if status := a.ok(client, "wait", name); status != "137\n" {
			t.Errorf("after kill wait says %q", status)
		}
		a.ok(client, "start", name)
		a.ok(client, "rm", "-f", name)
		a.fails(1, "no such container", client, "inspect", "--type", "container", name)
	})
}

func has(s, want string) error {
	if strings.Contains(s, want) {
		return nil
	}
	return fmt.Errorf("%q is not in %q", want, s)
}

func TestFollowLogs(t *testing.T) {
	eachClient(t, func(t *testing.T, a *app, client string) {
		id := strings.TrimSpace(a.ok(client, "run", "-d", testImage, "sh", "-c", "for i in 1 2 3; do echo $i; sleep 0.2; done"))
		if logs := a.ok(client, "logs", "-f", id); logs != "1\n2\n3\n" {
			t.Errorf("logs -f printed %q", logs)
		}
		a.ok(client, "rm", id)
	})
}

func TestInterruptReachesTheContainer(t *testing.T) {
	eachClient(t, func(t *testing.T, a *app, client string) {
		cmd := a.command(t.Context(), client, "run", "--rm", testImage, "sh", "-c",
			`trap 'echo interrupted; exit 5' INT; echo ready; while :; do sleep 0.1; done`)
		out := &lockedBuffer{}
		cmd.Stdout = out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		a.eventually("it is ready", func() error { return has(out.String(), "ready\n") })
		cmd.Process.Signal(syscall.SIGINT)
		if err := cmd.Wait(); cmd.ProcessState.ExitCode() != 5 || out.String() != "ready\ninterrupted\n" {
			t.Errorf("%v, stdout %q", err, out)
		}
	})
}

func TestExecWithInput(t *testing.T) {
	eachClient(t, func(t *testing.T, a *app, client string) {
		id := strings.TrimSpace(a.ok(client, "run", "-d", testImage, "sleep", "1000"))
		defer a.ok(client, "rm", "-f", id)
		r := a.do(strings.NewReader("through exec"), client, "exec", "-i", id, "cat")
		if r.stdout != "through exec" || r.code != 0 {
			t.Errorf("exit status %d, stdout %q, stderr %q", r.code, r.stdout, r.stderr)
		}
		if out := a.ok(client, "exec", "-u", "app", "-w", "/tmp", "-e", "X=y", id, "sh", "-c", "id -un; pwd; echo $X"); out != "app\n/tmp\ny\n" {
			t.Errorf("exec printed %q", out)
		}
	})
}

func TestInspectTellsThePhases(t *testing.T) {
	a := shared(t)
	id := strings.TrimSpace(a.ok("skerry", "run", "-d", testImage, "sleep", "1000"))
	defer a.ok("skerry", "rm", "-f", id)
	var containers []struct {
		NetworkSettings struct {
			Networks map[string]struct{ IPAddress, MacAddress, Gateway string }
		}
		Skerry struct {
			Phases []struct {
				Name    string
				Seconds float64
			}
		}
	}
	if err := json.Unmarshal([]byte(a.ok("skerry", "inspect", id)), &containers); err != nil || len(containers) != 1 {
		t.Fatalf("%v, %d containers", err, len(containers))
	}
	var names []string
	for _, p := range containers[0].Skerry.Phases {
		names = append(names, p.Name)
	}
	if got, want := strings.Join(names, " "), "prepare machine kernel agent configure process"; got != want {
		t.Errorf("phases are %q, want %q", got, want)
	}
	if len(containers[0].NetworkSettings.Networks) != 1 {
		t.Errorf("networks are %v", containers[0].NetworkSettings.Networks)
	}
	for _, n := range containers[0].NetworkSettings.Networks {
		if n.IPAddress == "" || n.MacAddress == "" || n.Gateway == "" {
			t.Errorf("the place on the network is %+v", n)
		}
	}
}

// pattern is a MiB of noise, the same for a name every time.
func pattern(name string) []byte {
	b := make([]byte, 1<<20)
	rand.NewChaCha8(sha256.Sum256([]byte(name))).Read(b)
	return b
}

// repeater reads a text again and again.
type repeater struct {
	text []byte
	at   int
}

func (r *repeater) Read(p []byte) (n int, err error) {
	for n < len(p) {
		m := copy(p[n:], r.text[r.at:])
		n += m
		r.at = (r.at + m) % len(r.text)
	}
	return n, nil
}

// counter takes what should be a text repeated, and compares.
type counter struct {
	want  repeater
	n     int
	wrong int // offset of the first wrong byte, -1: none
	hash  hash.Hash
	buf   []byte
}

func newCounter(text []byte) *counter {
	return &counter{want: repeater{text: text}, wrong: -1, hash: sha256.New()}
}

func (c *counter) Write(p []byte) (int, error) {
	if len(c.buf) < len(p) {
		c.buf = make([]byte, len(p))
	}
	c.want.Read(c.buf[:len(p)])
	if c.wrong < 0 && !bytes.Equal(p, c.buf[:len(p)]) {
		for i := range p {
			if p[i] != c.buf[i] {
				c.wrong = c.n + i
				break
			}
		}
	}
	c.n += len(p)
	c.hash.Write(p)
	return len(p), nil
}

func (c *counter) check(t *testing.T, what string) {
	t.Helper()
	if c.n != bulk || c.wrong >= 0 {
		t.Errorf("%s: %d bytes, the first wrong one at %d; want %d and none wrong", what, c.n, c.wrong, bulk)
	}
}
