// Command skerry is the whole program: the app with the engine in it, and the
// command line that talks to the app.
package main

import (
	"context"
	"os"

	"github.com/skerry-app/skerry/app/cli"
)

// version is set by the build.
var version = "dev"

func main() {
	os.Exit(cli.New(cli.Options{Version: version, RunApp: runApp}).Run(context.Background(), os.Args[1:]))
}
