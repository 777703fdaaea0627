package skerryfile

import (
	"fmt"
	"slices"
)

// synonyms are words that people bring along from other tools, with the key
// that means it here.
var synonyms = map[string]string{
	"args":         "command",
	"autostart":    "start_at_login",
	"cmd":          "command",
	"container":    "containers",
	"cpu":          "cpus",
	"cwd":          "working_dir",
	"depends":      "depends_on",
	"dir":          "working_dir",
	"env":          "environment",
	"envfile":      "env_file",
	"envs":         "environment",
	"health":       "healthcheck",
	"host":         "hostname",
	"hosts":        "extra_hosts",
	"mem":          "memory",
	"mem_limit":    "memory",
	"port":         "ports",
	"publish":      "ports",
	"pull":         "pull_policy",
	"readonly":     "read_only",
	"requires_app": "requires",
	"service":      "containers",
	"services":     "containers",
	"signal":       "stop_signal",
	"stop_timeout": "stop_grace_period",
	"terminal":     "tty",
	"volume":       "volumes",
	"workdir":      "working_dir",
}

// didYouMean is `; did you mean "x"?` when one of the candidates is near, else
// empty.
func didYouMean(word string, candidates []string) string {
	if meant, ok := synonyms[word]; ok && slices.Contains(candidates, meant) {
		return fmt.Sprintf("; did you mean %q?", meant)
	}
	limit := 2
	if len(word) < 5 {
		limit = 1
	}
	best, distance := "", limit+1
	for _, candidate := range candidates {
		if d := editDistance(word, candidate); d < distance {
			best, distance = candidate, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %q?", best)
}

// editDistance is Damerau's and Levenshtein's (optimal string alignment): how
// many characters to insert, delete, replace or swap with their neighbour.
func editDistance(a, b string) int {
	from, to := []rune(a), []rune(b)
	var before []int // the row before the last
	last := make([]int, len(to)+1)
	for j := range last {
		last[j] = j
	}
	for i := range from {
		row := make([]int, len(to)+1)
		row[0] = i + 1
		for j := range to {
			cost := 1
			if from[i] == to[j] {
				cost = 0
			}
			row[j+1] = min(last[j+1]+1, row[j]+1, last[j]+cost)
			if i > 0 && j > 0 && from[i] == to[j-1] && from[i-1] == to[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last = last, row
	}
	return last[len(to)]
}
