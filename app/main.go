// Command skerry is the whole program: the app with the engine in it, and the
// command line that talks to the app.
package main

import (
	"context"
	"os"
	"runtime"

	"github.com/skerry-app/skerry/app/cli"
)

// version is set by the build.
var version = "dev"

func main() {
	args := os.Args[1:]
	// The Finder and the login item give no arguments, and launchd is their
	// processes' parent.
	if runtime.GOOS == "darwin" && len(args) == 0 && os.Getppid() == 1 {
		args = []string{"app"}
	}
	os.Exit(cli.New(cli.Options{Version: version, RunApp: runApp}).Run(context.Background(), args))
}
