package cli

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/moby/moby/api/types/registry"
	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// maxPassword bounds what is read for a password, in bytes.
const maxPassword = 64 << 10

func (c *CLI) loginCommand() *cobra.Command {
	var username, password string
	var fromStdin bool
	cmd := &cobra.Command{
		Use:   "login [flags] [SERVER]",
		Short: "Log in to a registry",
		Args:  args(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			login := registry.AuthConfig{Username: username, Password: password}
			if len(args) == 1 {
				login.ServerAddress = args[0]
			}
			if fromStdin && (password != "" || username == "") {
				return usagef(cmd, "--password-stdin needs --username, and no --password")
			}
			if err := c.askLogin(&login, fromStdin); err != nil {
				return err
			}
			answer, err := c.call(cmd.Context(), true, http.MethodPost, endpointLogin, login)
			if err != nil {
				return err
			}
			defer answer.Close()
			var kept struct{ Where string }
			if err := json.NewDecoder(answer).Decode(&kept); err != nil {
				return fmt.Errorf("read the app's answer: %w", err)
			}
			fmt.Fprintln(c.out, "Login Succeeded")
			fmt.Fprintln(c.err, "kept in", kept.Where)
			return nil
		},
	}
	fs := cmd.Flags()
	fs.StringVarP(&username, "username", "u", "", "name to log in with")
	fs.StringVarP(&password, "password", "p", "", "password; others can see it in the list of processes")
	fs.BoolVar(&fromStdin, "password-stdin", false, "read the password from stdin")
	return cmd
}

// askLogin asks for what is missing.
func (c *CLI) askLogin(login *registry.AuthConfig, fromStdin bool) error {
	if fromStdin {
		text, err := io.ReadAll(io.LimitReader(c.in, maxPassword))
		if err != nil {
			return fmt.Errorf("read the password: %w", err)
		}
		login.Password = strings.TrimRight(string(text), "\r\n")
	}
	fd, onTerminal := terminal(c.in)
	if (login.Username == "" || login.Password == "") && !onTerminal {
		return errors.New("there is no terminal to ask at: give --username and --password-stdin")
	}
	if login.Username == "" {
		fmt.Fprint(c.err, "Username: ")
		line, err := bufio.NewReader(io.LimitReader(c.in, maxPassword)).ReadString('\n')
		if err != nil {
			return fmt.Errorf("read the name: %w", err)
		}
		login.Username = strings.TrimSpace(line)
	}
	if login.Password == "" {
		fmt.Fprint(c.err, "Password: ")
		text, err := term.ReadPassword(fd)
		fmt.Fprintln(c.err)
		if err != nil {
			return fmt.Errorf("read the password: %w", err)
		}
		login.Password = string(text)
	}
	if login.Username == "" || login.Password == "" {
		return errors.New("a login needs a name and a password")
	}
	return nil
}

func (c *CLI) logoutCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "logout [SERVER]",
		Short: "Forget a login to a registry",
		Args:  args(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			var login registry.AuthConfig
			if len(args) == 1 {
				login.ServerAddress = args[0]
			}
			answer, err := c.call(cmd.Context(), true, http.MethodPost, endpointLogout, login)
			if err != nil {
				return err
			}
			return answer.Close()
		},
	}
}
