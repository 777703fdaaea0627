package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/moby/moby/api/types/jsonstream"
	"github.com/spf13/cobra"

	"github.com/skerry-app/skerry/app/project/skerryfile"
)

func (c *CLI) upCommand() *cobra.Command {
	var file string
	var detach bool
	cmd := &cobra.Command{
		Use:   "up [flags] [CONTAINER...]",
		Short: "Bring the project up: make and start what its file describes",
		RunE: func(cmd *cobra.Command, names []string) error {
			_, used, err := c.loadProject(file)
			if err != nil {
				return c.projectProblems(err)
			}
			return c.changeProject(cmd.Context(), endpointUp, projectRequest{File: used.file, Env: used.env, Names: names})
		},
	}
	fileFlag(cmd, &file)
	cmd.Flags().BoolVarP(&detach, "detach", "d", false, "") // always so; fingers type it
	_ = cmd.Flags().MarkHidden("detach")
	return cmd
}

func (c *CLI) downCommand() *cobra.Command {
	var file string
	var volumes bool
	cmd := &cobra.Command{
		Use:   "down [flags] [CONTAINER...]",
		Short: "Stop and remove the project's containers",
		RunE: func(cmd *cobra.Command, names []string) error {
			path, _, err := findProject(file)
			if err != nil {
				return err
			}
			return c.changeProject(cmd.Context(), endpointDown, projectRequest{File: path, Names: names, Volumes: volumes})
		},
	}
	fileFlag(cmd, &file)
	cmd.Flags().BoolVarP(&volumes, "volumes", "v", false, "remove the project's volumes, too, and what is in them")
	return cmd
}

func (c *CLI) checkCommand() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "check [flags]",
		Short: "Look for mistakes in the project file, and say what up would change",
		Args:  args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			project, used, err := c.loadProject(file)
			if err != nil {
				return c.projectProblems(err)
			}
			count := fmt.Sprintf("%d containers", len(project.Containers))
			if len(project.Containers) == 1 {
				count = "1 container"
			}
			fmt.Fprintf(c.err, "%s: project %q with %s is fine\n", used.shown, project.Name, count)
			return c.showPlan(cmd.Context(), projectRequest{File: used.file, Env: used.env})
		},
	}
	fileFlag(cmd, &file)
	return cmd
}

// projectChange is one element of the plan's answer.
type projectChange struct {
	Container string   `json:"container"`
	Action    string   `json:"action"`
	Keys      []string `json:"keys"`
}

// planned says for people what is done to a container.
var planned = map[string]string{
	"create": "is made and started", "restart": "is made anew", "update": "is changed while it runs", "remove": "is stopped and removed",
}

// showPlan prints what up would change. An app that does not run is not started
// for it.
func (c *CLI) showPlan(ctx context.Context, request projectRequest) error {
	body, err := c.call(ctx, false, http.MethodPost, endpointPlan, request)
	if errors.Is(err, errNotRunning) {
		return nil
	}
	if err != nil {
		return err
	}
	defer body.Close()
	var changes []projectChange
	if err := json.NewDecoder(body).Decode(&changes); err != nil {
		return fmt.Errorf("read the app's answer: %w", err)
	}
	if len(changes) == 0 {
		fmt.Fprintln(c.out, "no change")
	}
	for _, change := range changes {
		fmt.Fprintf(c.out, "%s %s", change.Container, planned[change.Action])
		if len(change.Keys) > 0 {
			fmt.Fprintf(c.out, ": %s", strings.Join(change.Keys, ", "))
		}
		fmt.Fprintln(c.out)
	}
	return nil
}

func (c *CLI) schemaCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON schema of project files, for editors",
		Args:  args(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			out := json.NewEncoder(c.out)
			out.SetEscapeHTML(false)
			out.SetIndent("", "  ")
			return out.Encode(skerryfile.JSONSchema())
		},
	}
}

func fileFlag(cmd *cobra.Command, file *string) {
	cmd.Flags().StringVarP(file, "file", "f", "", "project file (default: "+skerryfile.Name+" here or in a directory above)")
}

// usedFile is what a project file was read with.
type usedFile struct {
	file  string            // absolute
	shown string            // as short as can be
	env   map[string]string // the variables that it asked for: no others leave this process
}

// findProject returns the file's absolute path, and the shortest from here.
func findProject(file string) (path, shown string, err error) {
	here, err := os.Getwd()
	if err != nil {
		return "", "", err
	}
	if file == "" {
		if file, err = skerryfile.Find(here); err != nil {
			return "", "", err
		}
	}
	if path, err = filepath.Abs(file); err != nil {
		return "", "", err
	}
	if short, err := filepath.Rel(here, path); err == nil && len(short) < len(path) {
		return path, short, nil
	}
	return path, path, nil
}

// loadProject finds and reads the file. The app reads it again; doing it here
// as well means that a mistake shows without an app.
func (c *CLI) loadProject(file string) (*skerryfile.Project, usedFile, error) {
	path, shown, err := findProject(file)
	if err != nil {
		return nil, usedFile{}, err
	}
	used := usedFile{file: path, shown: shown, env: map[string]string{}}
	lookup := func(name string) (string, bool) {
		value, ok := os.LookupEnv(name)
		if ok {
			used.env[name] = value
		}
		return value, ok
	}
	project, err := skerryfile.Load(path, skerryfile.Options{Lookup: lookup, Version: c.options.Version})
	return project, used, err
}

// projectProblems prints the problems of a project file as they are, so that
// terminals and editors find the positions; on a terminal with the lines meant.
func (c *CLI) projectProblems(err error) error {
	var problems skerryfile.Problems
	if !errors.As(err, &problems) {
		return err
	}
	here, _ := os.Getwd()
	_, excerpts := terminal(c.err)
	problems.Print(c.err, here, excerpts)
	return exitWith(exitFailure)
}

// projectRequest is the body of the project endpoints.
type projectRequest struct {
	File  string            `json:"file"`
	Env   map[string]string `json:"env,omitempty"`
	Names []string          `json:"names,omitempty"`

	Volumes bool `json:"volumes,omitempty"`
}

// projectLine is one line of their answer.
type projectLine struct {
	Container string `json:"container"`
	Status    string `json:"status"`
	Detail    string `json:"detail"`
	Current   int64  `json:"current"`
	Total     int64  `json:"total"`

	Done  bool   `json:"done"`
	Error string `json:"error"`
}

func (c *CLI) changeProject(ctx context.Context, endpoint string, request projectRequest) error {
	body, err := c.call(ctx, true, http.MethodPost, endpoint, request)
	if err != nil {
		return err
	}
	defer body.Close()
	show := c.newProgress(false)
	defer show.end()
	lines := json.NewDecoder(body)
	for {
		var line projectLine
		switch err := lines.Decode(&line); {
		case errors.Is(err, io.EOF) && ctx.Err() == nil:
			return errors.New("the app ended before it was done; its log is " + c.home.AppLog())
		case err != nil:
			return fmt.Errorf("read the app's answer: %w", err)
		case line.Error != "":
			return errors.New(line.Error)
		case line.Done:
			return nil
		}
		showProjectLine(show, line)
	}
}

func showProjectLine(show progress, line projectLine) {
	if line.Total > 0 {
		show.message(jsonstream.Message{ID: line.Container, Status: line.Status,
			Progress: &jsonstream.Progress{Current: line.Current, Total: line.Total}})
		return
	}
	text := line.Status
	if line.Container != "" {
		text = line.Container + ": " + text
	}
	if line.Detail != "" {
		text += " (" + line.Detail + ")"
	}
	show.line(text)
}
