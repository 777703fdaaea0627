// Command benchstart measures how long a container takes from command to exit,
// as a ratio to what the machine alone takes: in turn, `skerry run --rm IMAGE
// true` against a running app, and a bare QEMU that boots the same kernel with
// the same accelerator and memory to an init of two system calls, which powers
// off. It prints the median ratio, percentiles, and what each phase takes.
//
//	benchstart [-skerry PROGRAM] [-kernel KERNEL] [-n ROUNDS]
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/skerry-app/skerry/kernel/boot"
	"github.com/skerry-app/skerry/registry/registrytest"
	"github.com/skerry-app/skerry/tests/busybox"
)

const (
	// warmUp rounds fill caches and are not counted.
	warmUp = 2
	// machineMemory is what a container's machine has by default, in MiB: its
	// limit of 512 and the kernel's own share.
	machineMemory = 608
	// bareParameters are those of the kernel's command line that the driver
	// gives under emulation with one CPU.
	bareParameters = "quiet no_timer_check nolapic_timer noreplace-smp mitigations=off tsc=reliable reboot=t"

	bootTimeout = 2 * time.Minute
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "benchstart:", err)
		os.Exit(1)
	}
}

func run() error {
	skerry := flag.String("skerry", "bin/skerry", "the program")
	kernel := flag.String("kernel", "bin/vmlinux", "its kernel")
	rounds := flag.Int("n", 20, "pairs that count")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	a, err := startApp(ctx, *skerry)
	if err != nil {
		return err
	}
	defer a.stop()
	bare, err := bareMachine(ctx, *kernel)
	if err != nil {
		return err
	}
	var ratios, ours, theirs []float64
	for round := range warmUp + *rounds {
		o, err := a.timeRun(ctx)
		if err != nil {
			return err
		}
		b, err := timeBare(ctx, bare)
		if err != nil {
			return err
		}
		if round >= warmUp {
			ratios, ours, theirs = append(ratios, o/b), append(ours, o), append(theirs, b)
		}
	}
	a.stop()
	fmt.Printf("R = %.2f: median of `skerry run --rm IMAGE true` / bare QEMU, %d pairs, %s\n", percentile(ratios, 50), *rounds, a.driver)
	fmt.Printf("%-12s %8s %8s\n", "seconds", "p50", "p95")
	row := func(name string, seconds []float64) {
		fmt.Printf("%-12s %8.3f %8.3f\n", name, percentile(seconds, 50), percentile(seconds, 95))
	}
	row("skerry run", ours)
	row("bare QEMU", theirs)
	for _, phase := range a.order {
		times := a.phases[phase]
		row("  "+phase, times[min(warmUp, len(times)):])
	}
	if agent := a.phases["agent"]; len(agent) > warmUp {
		p50, boot := percentile(agent[warmUp:], 50), percentile(theirs, 50)
		fmt.Printf("vminitd serves %.3f s after the kernel has started it: %.2f of a bare boot (%.3f s)\n", p50, p50/boot, boot)
	}
	return nil
}

func percentile(values []float64, p int) float64 {
	sorted := slices.Sorted(slices.Values(values))
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)*p/100, len(sorted)-1)]
}

// app is a running Skerry with a state directory of its own.
type app struct {
	skerry, home, image, driver string

	cmd, events *exec.Cmd
	read        chan struct{} // closed when all events have been read
	order       []string      // of phases
	phases      map[string][]float64
	stopped     bool
}

func startApp(ctx context.Context, skerry string) (a *app, err error) {
	if skerry, err = filepath.Abs(skerry); err != nil {
		return nil, err
	}
	server, err := registrytest.Serve(ctx, registrytest.Options{})
	if err != nil {
		return nil, err
	}
	image, err := busybox.Image()
	if err != nil {
		return nil, err
	}
	if _, err := image.Push(ctx, server.Host, "bench/busybox", "latest"); err != nil {
		return nil, err
	}
	home, err := os.MkdirTemp("", "skerry")
	if err != nil {
		return nil, err
	}
	a = &app{skerry: skerry, home: home, image: server.Host + "/bench/busybox:latest", phases: map[string][]float64{}, read: make(chan struct{})}
	a.cmd = a.command(ctx, "app", "--headless")
	if err := a.cmd.Start(); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			a.stop()
		}
	}()
	if out, err := a.command(ctx, "pull", a.image).CombinedOutput(); err != nil {
		return a, fmt.Errorf("pull: %w: %s", err, out)
	}
	out, err := a.command(ctx, "version", "--format", "json").Output()
	if err != nil {
		return a, fmt.Errorf("version: %w", err)
	}
	var version struct{ App struct{ Driver string } }
	if err := json.Unmarshal(out, &version); err != nil {
		return a, fmt.Errorf("version: %w", err)
	}
	a.driver = version.App.Driver
	return a, a.watch(ctx)
}

func (a *app) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, a.skerry, args...)
	cmd.Env = append(os.Environ(), "SKERRY_HOME="+a.home)
	return cmd
}

// watch collects the phases that the app tells with each container's end.
func (a *app) watch(ctx context.Context) error {
	a.events = a.command(ctx, "events", "--filter", "event=die", "--format", "json")
	out, err := a.events.StdoutPipe()
	if err != nil {
		return err
	}
	if err := a.events.Start(); err != nil {
		return err
	}
	go func() {
		defer close(a.read)
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			var event struct {
				Actor struct{ Attributes map[string]string }
			}
			if json.Unmarshal(lines.Bytes(), &event) != nil {
				continue
			}
			for field := range strings.FieldsSeq(event.Actor.Attributes["phases"]) {
				name, value, _ := strings.Cut(field, "=")
				seconds, err := strconv.ParseFloat(value, 64)
				if err != nil {
					continue
				}
				if a.phases[name] == nil {
					a.order = append(a.order, name)
				}
				a.phases[name] = append(a.phases[name], seconds)
			}
		}
		io.Copy(io.Discard, out)
	}()
	return nil
}

// timeRun returns the seconds of one run of a container.
func (a *app) timeRun(ctx context.Context) (float64, error) {
	cmd := a.command(ctx, "run", "--rm", a.image, "true")
	start := time.Now()
	out, err := cmd.CombinedOutput()
	if err != nil {
		return 0, fmt.Errorf("skerry run: %w: %s", err, out)
	}
	return time.Since(start).Seconds(), nil
}

// stop ends the app and deletes its state.
func (a *app) stop() {
	if a.stopped {
		return
	}
	a.stopped = true
	a.cmd.Process.Signal(syscall.SIGTERM)
	a.cmd.Wait()
	if a.events != nil && a.events.Process != nil {
		<-a.read // the app's end ends it
		a.events.Wait()
	}
	os.RemoveAll(a.home)
}

func bareMachine(ctx context.Context, kernel string) (boot.Machine, error) {
	arch := map[string]string{"amd64": "x86_64", "arm64": "arm64"}[runtime.GOARCH]
	init, err := boot.TinyInit(ctx, arch)
	return boot.Machine{Arch: arch, Kernel: kernel, Init: init, Append: bareParameters, Memory: machineMemory}, err
}

// timeBare returns the seconds from QEMU's start to its end.
func timeBare(ctx context.Context, m boot.Machine) (float64, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, bootTimeout, errors.New("the bare machine did not end in "+bootTimeout.String()))
	defer cancel()
	start := time.Now()
	if err := m.Run(ctx, func(string) {}); err != nil {
		return 0, err
	}
	return time.Since(start).Seconds(), nil
}
