package cli

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/skerry-app/skerry/app/login"
)

// autostartCommand works on the user's session and not on the app, so that it
// starts none.
func (c *CLI) autostartCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "autostart on|off|status",
		Short: "Have the app start at login, or not",
		Args:  knownCommand,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	headless := false
	on := &cobra.Command{
		Use:   "on [flags]",
		Short: "Start the app at login from now on",
		Args:  args(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			program, err := ownProgram()
			if err != nil {
				return err
			}
			if err := login.Enable(login.Options{Program: program, Headless: headless}); err != nil {
				return err
			}
			state, err := login.Get()
			if err == nil && state == login.NeedsApproval {
				fmt.Fprintln(c.err, "macOS waits for your leave: allow Skerry in System Settings, General, Login Items")
				err = login.OpenSettings()
			}
			return err
		},
	}
	on.Flags().BoolVar(&headless, "headless", false, "without a tray, as a systemd user service (Linux)")
	cmd.AddCommand(on, &cobra.Command{
		Use:   "off",
		Short: "No longer start the app at login",
		Args:  args(cobra.NoArgs),
		RunE:  func(*cobra.Command, []string) error { return login.Disable() },
	}, &cobra.Command{
		Use:   "status",
		Short: `Print "on", "off" or "needs approval"`,
		Args:  args(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			state, err := login.Get()
			if err == nil {
				fmt.Fprintln(c.out, state)
			}
			return err
		},
	})
	return cmd
}

// ownProgram is this program's file, not a link to it.
func ownProgram() (string, error) {
	path, err := os.Executable()
	if err == nil {
		path, err = filepath.EvalSymlinks(path)
	}
	if err != nil {
		return "", fmt.Errorf("find own program: %w", err)
	}
	return path, nil
}
