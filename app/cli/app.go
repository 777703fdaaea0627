package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

func (c *CLI) appCommand() *cobra.Command {
	o := AppOptions{}
	cmd := &cobra.Command{
		Use:   "app [flags]",
		Short: "Run the app in the foreground",
		Long: "Run the app in the foreground: the engine, the API's socket and the tray.\n" +
			"Other commands start it in the background by themselves.",
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if c.options.RunApp == nil {
				return errors.New("this program was built without the app")
			}
			o.Home = c.home
			return c.options.RunApp(cmd.Context(), o)
		},
	}
	cmd.Flags().BoolVar(&o.Headless, "headless", false, "without a tray")
	cmd.AddCommand(c.autostartCommand(), &cobra.Command{
		Use:   "quit",
		Short: "Stop all containers and end the app",
		Args:  args(cobra.NoArgs),
		RunE:  func(cmd *cobra.Command, _ []string) error { return c.quit(cmd.Context()) },
	})
	return cmd
}

const (
	quitTimeout = 2 * time.Minute // for all containers to stop
	quitPoll    = 20 * time.Millisecond
)

// quit ends the app and returns once its process is gone. Its socket goes
// first: the containers are stopped after that.
func (c *CLI) quit(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, quitTimeout)
	defer cancel()
	conn, err := c.dial(ctx)
	if nobodyListens(err) {
		fmt.Fprintln(c.err, "the app is not running")
		return nil
	}
	if err != nil {
		return err
	}
	pid, err := serverProcess(conn)
	conn.Close()
	if err != nil {
		return fmt.Errorf("find the app's process: %w", err)
	}
	body, err := c.call(ctx, false, http.MethodPost, endpointQuit, nil)
	if err != nil {
		return err
	}
	body.Close()
	poll := time.NewTicker(quitPoll)
	defer poll.Stop()
	for {
		if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			return nil
		}
		select {
		case <-poll.C:
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return fmt.Errorf("the app (process %d) has not ended within %v; its log is %s", pid, quitTimeout, c.home.AppLog())
			}
			return ctx.Err()
		}
	}
}

// serverProcess is the process at the other end of a connection.
func serverProcess(conn net.Conn) (pid int, err error) {
	socket, ok := conn.(*net.UnixConn)
	if !ok {
		return 0, fmt.Errorf("%T is no unix socket", conn)
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return 0, err
	}
	var failure error
	if err := raw.Control(func(fd uintptr) { pid, failure = peerProcess(int(fd)) }); err != nil {
		return 0, err
	}
	if failure == nil && pid <= 0 {
		failure = errors.New("it is out of this process's sight")
	}
	return pid, failure
}

func (c *CLI) envCommand() *cobra.Command {
	var unset bool
	cmd := &cobra.Command{
		Use:     "env [flags]",
		Short:   "Print the shell command that makes docker talk to Skerry",
		Example: `  eval "$(skerry env)"`,
		Args:    args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if unset {
				fmt.Fprintln(c.out, "unset DOCKER_HOST")
				return nil
			}
			fmt.Fprintln(c.out, "export DOCKER_HOST="+shellQuote("unix://"+c.home.Socket()))
			conn, err := c.dial(cmd.Context())
			if err != nil {
				fmt.Fprintln(c.err, errNotRunning)
				return nil
			}
			return conn.Close()
		},
	}
	cmd.Flags().BoolVar(&unset, "unset", false, "print what takes it back")
	return cmd
}

// shellQuote makes a word of any text for sh, bash, zsh and fish.
func shellQuote(text string) string {
	const plain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/:._-+,@%"
	if text != "" && strings.Trim(text, plain) == "" {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

// finding is one element of the answer of GET /skerry/doctor.
type finding struct {
	OK      bool   `json:"ok"`
	Subject string `json:"subject"`
	Detail  string `json:"detail"`
	Fix     string `json:"fix"`
}

func (c *CLI) doctorCommand() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "doctor [flags]",
		Short: "Check what Skerry needs, and say how to mend what is missing",
		Args:  args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if format != "" && format != "table" && format != "json" {
				return usagef(cmd, `--format must be "table" or "json", not %q`, format)
			}
			var findings []finding
			if err := c.get(cmd.Context(), true, endpointDoctor, &findings); err != nil {
				return err
			}
			return c.printFindings(findings, format == "json")
		},
	}
	cmd.Flags().StringVar(&format, "format", "", `"table" or "json"`)
	return cmd
}

func (c *CLI) printFindings(findings []finding, asJSON bool) error {
	wrong := 0
	for _, f := range findings {
		if !f.OK {
			wrong++
		}
		if asJSON {
			if err := json.NewEncoder(c.out).Encode(f); err != nil {
				return err
			}
			continue
		}
		mark := "ok  "
		if !f.OK {
			mark = "FAIL"
		}
		fmt.Fprintf(c.out, "%s  %s: %s\n", mark, f.Subject, f.Detail)
		if f.Fix != "" {
			fmt.Fprintf(c.out, "      fix: %s\n", f.Fix)
		}
	}
	if wrong > 0 {
		return fmt.Errorf("%d of %d checks failed", wrong, len(findings))
	}
	return nil
}

// appVersion is the answer of GET /skerry/version.
type appVersion struct {
	Version string `json:"version"`
	Driver  string `json:"driver"`
	Kernel  string `json:"kernel"`
	Home    string `json:"home"`
}

func (c *CLI) versionCommand() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "version [flags]",
		Short: "Print the versions of this program and of the running app",
		Args:  args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if format != "" && format != "json" {
				return usagef(cmd, `--format must be "json", not %q`, format)
			}
			var running *appVersion
			err := c.get(cmd.Context(), false, endpointVersion, &running)
			if err != nil && !errors.Is(err, errNotRunning) {
				return err
			}
			return c.printVersion(running, format == "json")
		},
	}
	cmd.Flags().StringVar(&format, "format", "", `"json"`)
	return cmd
}

func (c *CLI) printVersion(running *appVersion, asJSON bool) error {
	platform := runtime.GOOS + "/" + runtime.GOARCH
	if asJSON {
		return json.NewEncoder(c.out).Encode(map[string]any{"version": c.options.Version, "platform": platform, "app": running})
	}
	fmt.Fprintf(c.out, "skerry %s (%s)\n", c.options.Version, platform)
	if running == nil {
		fmt.Fprintln(c.out, "app    not running")
		return nil
	}
	fmt.Fprintf(c.out, "app    %s, driver %s, kernel %s\n       state in %s\n", running.Version, running.Driver, running.Kernel, running.Home)
	return nil
}
