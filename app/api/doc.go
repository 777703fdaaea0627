// Package api serves the Docker Engine API over a unix socket, so that the
// docker command, compose, Testcontainers and IDEs work against Skerry
// unchanged, and beside it what only Skerry has, below /skerry/.
//
// # The Docker Engine API
//
// Versions 1.44 to 1.56, with or without the prefix /vX.YY. What the engine
// does not offer answers 501 with a message that names the feature; nothing is
// accepted that is then not done. Where the containers' being machines of
// their own shows:
//
//   - The default network is called "bridge" here, as everybody expects it, and
//     "skerry" in project files; both names are understood.
//   - A port without a host address is published on 127.0.0.1 and ::1, not to
//     the whole network.
//   - Memory and CPUs are never unlimited: inspect shows the machine's size.
//   - GET /containers/{id}/json carries a field "Skerry": {"Phases": [{"Name",
//     "Seconds"}]}, the steps of the last start and how long they took.
//
// # Skerry's own
//
//	GET  /skerry/version         {"version", "driver", "kernel", "home"}
//	GET  /skerry/doctor          [{"ok", "subject", "detail", "fix"}]: what the engine needs and what it found
//	POST /skerry/quit            ends the app, and all containers with it; 202
//	GET  /skerry/projects        [ProjectStatus]
//	POST /skerry/projects/up     body ProjectRequest, answer a stream
//	POST /skerry/projects/down   body ProjectRequest, answer a stream
//	POST /skerry/projects/plan   body ProjectRequest, answer [ProjectChange]
//
// A stream is application/x-ndjson: ProjectProgress objects, one a line, and a
// last line {"done": true} or {"error": "message"}. A stream that ends without
// that line was cut off. Errors that come before anything was done, mistakes
// in the file above all, are plain answers with a status of 400 and more. All
// errors are {"message": "..."}, as Docker has them.
package api
