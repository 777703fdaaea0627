// Package cli is the command line: a client of the app's socket and of nothing
// else, so that whatever it can do, docker, an IDE or a script can do as well.
//
// Data goes to stdout, progress and notes to stderr. Exit status: the
// container's own for run, exec, attach and start --attach; 125, 126 or 127
// when run could not start it, as docker does; 2 for wrong usage; 130 when
// interrupted; 1 for every other failure.
package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/skerry-app/skerry/app/home"
)

// AppOptions says how the app is to run.
type AppOptions struct {
	Home     home.Dir
	Headless bool // without a tray
}

// Options is what the command line needs from the program around it.
type Options struct {
	Version string
	// RunApp is the app itself, in the foreground until ctx ends. The command
	// line does not know the engine, so the program hands it in.
	RunApp func(ctx context.Context, o AppOptions) error

	// Nil takes the process's own.
	Stdin  io.Reader
	Stdout io.Writer
	Stderr io.Writer
}

// CLI is one run of the command line.
type CLI struct {
	options  Options
	in       io.Reader
	out, err io.Writer
	connection
	interrupts chan os.Signal
}

// New returns a command line that is ready to Run.
func New(o Options) *CLI {
	c := &CLI{options: o, in: o.Stdin, out: o.Stdout, err: o.Stderr, interrupts: make(chan os.Signal, 1)}
	if c.in == nil {
		c.in = os.Stdin
	}
	if c.out == nil {
		c.out = os.Stdout
	}
	if c.err == nil {
		c.err = os.Stderr
	}
	return c
}

// Run does what args (without the program's name) say and returns the exit
// status. SIGINT and SIGTERM end it, unless a command hands them to a container.
func (c *CLI) Run(ctx context.Context, args []string) int {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	signal.Notify(c.interrupts, syscall.SIGINT, syscall.SIGTERM)
	defer c.releaseInterrupts()
	go func() {
		select {
		case <-c.interrupts:
			cancel()
		case <-ctx.Done():
		}
	}()

	dir, err := home.Find()
	if err != nil {
		fmt.Fprintln(c.err, "skerry:", err)
		return exitFailure
	}
	c.connection = connection{home: dir, notes: c.err}

	root := c.root()
	root.SetArgs(args)
	return c.report(ctx, root.ExecuteContext(ctx))
}

// releaseInterrupts gives SIGINT and SIGTERM to whoever asks for them next.
func (c *CLI) releaseInterrupts() { signal.Stop(c.interrupts) }

func (c *CLI) root() *cobra.Command {
	root := &cobra.Command{
		Use:               "skerry COMMAND [ARG...]",
		Short:             "Containers, each in its own lightweight virtual machine",
		Version:           c.options.Version,
		SilenceErrors:     true,
		SilenceUsage:      true,
		DisableAutoGenTag: true,
		Args:              knownCommand,
		RunE:              func(cmd *cobra.Command, _ []string) error { return cmd.Help() },

		DisableFlagsInUseLine:      true,
		SuggestionsMinimumDistance: 2,
	}
	root.SetIn(c.in)
	root.SetOut(c.out)
	root.SetErr(c.err)
	root.SetVersionTemplate("skerry {{.Version}}\n")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return usageError{cmd, err} })
	for _, group := range c.groups() {
		root.AddGroup(&cobra.Group{ID: group.id, Title: group.title})
		for _, cmd := range group.commands {
			cmd.GroupID = group.id
			root.AddCommand(cmd)
		}
	}
	return root
}

type group struct {
	id, title string
	commands  []*cobra.Command
}

func (c *CLI) groups() []group {
	return []group{
		{"containers", "Containers:", []*cobra.Command{
			c.runCommand(), c.createCommand(), c.startCommand(), c.stopCommand(), c.restartCommand(),
			c.updateCommand(), c.killCommand(), c.pauseCommand(), c.unpauseCommand(), c.rmCommand(), c.renameCommand(),
			c.execCommand(), c.cpCommand(), c.attachCommand(), c.waitCommand(),
			c.psCommand(), c.logsCommand(), c.topCommand(), c.statsCommand(), c.portCommand(), c.inspectCommand(), c.eventsCommand(), c.fsCommand(),
		}},
		{"images", "Images:", []*cobra.Command{
			c.pullCommand(), c.pushCommand(), c.imagesCommand(), c.rmiCommand(), c.tagCommand(),
			c.saveCommand(), c.loadCommand(), c.loginCommand(), c.logoutCommand(),
		}},
		{"volumes", "Volumes:", []*cobra.Command{c.volumeCommand()}},
		{"projects", "Projects (skerry.toml):", []*cobra.Command{
			c.upCommand(), c.downCommand(), c.checkCommand(), c.schemaCommand(),
		}},
		{"self", "Skerry itself:", []*cobra.Command{
			c.appCommand(), c.envCommand(), c.doctorCommand(), c.versionCommand(),
		}},
	}
}
