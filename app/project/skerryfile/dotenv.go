package skerryfile

import (
	"strings"
)

// variable is one line of an environment file.
type variable struct {
	name, value string
}

// parseDotenv reads the format of .env files as compose does: KEY=value lines,
// an optional "export" before them, # comments, values plain (up to " #"),
// in single quotes (as they are) or in double quotes (with \n, \t, \r, \",
// \\ and \$). Quoted values may span lines. Variables in values are not
// replaced.
func parseDotenv(src *source, r *report) []variable {
	var variables []variable
	text := src.text
	for offset := 0; offset < len(text); {
		end := lineEnd(text, offset)
		line := text[offset:end]
		trimmed := strings.TrimLeft(line, " \t\ufeff")
		begin := position{src, offset + len(line) - len(trimmed)}
		if trimmed = strings.TrimRight(trimmed, " \t\r"); trimmed == "" || trimmed[0] == '#' {
			offset = end + 1
			continue
		}
		if rest, ok := strings.CutPrefix(trimmed, "export "); ok {
			trimmed = strings.TrimLeft(rest, " \t")
		}
		name, _, hasValue := strings.Cut(trimmed, "=")
		name = strings.TrimRight(name, " \t")
		if !hasValue || variableName(name) != name || name == "" {
			r.add(begin, "expected KEY=value, not %q", trimmed)
			offset = end + 1
			continue
		}
		at := offset + strings.IndexByte(line, '=') + 1
		value, next, ok := dotenvValue(text, at)
		if !ok {
			r.add(begin, "the value of %s has no closing quote", name)
			return variables
		}
		variables = append(variables, variable{name, value})
		offset = next
	}
	return variables
}

func lineEnd(text string, from int) int {
	if i := strings.IndexByte(text[from:], '\n'); i >= 0 {
		return from + i
	}
	return len(text)
}

// dotenvValue reads the value that begins at and returns where the next line
// begins; not ok is a quote without an end.
func dotenvValue(text string, at int) (value string, next int, ok bool) {
	for at < len(text) && (text[at] == ' ' || text[at] == '\t') {
		at++
	}
	if at < len(text) && (text[at] == '"' || text[at] == '\'') {
		value, end, ok := quotedValue(text, at)
		return value, lineEnd(text, end) + 1, ok
	}
	end := lineEnd(text, at)
	value = text[at:end]
	if strings.HasPrefix(value, "#") {
		value = ""
	}
	for _, comment := range []string{" #", "\t#"} {
		value, _, _ = strings.Cut(value, comment)
	}
	return strings.TrimRight(value, " \t\r"), end + 1, true
}

func quotedValue(text string, at int) (value string, end int, ok bool) {
	quote := text[at]
	var out strings.Builder
	for i := at + 1; i < len(text); i++ {
		switch c := text[i]; {
		case c == quote:
			return out.String(), i + 1, true
		case c == '\\' && quote == '"' && i+1 < len(text):
			i++
			if plain := strings.IndexByte(`ntr"\$`, text[i]); plain >= 0 {
				out.WriteByte("\n\t\r\"\\$"[plain])
			} else {
				out.WriteString(text[i-1 : i+1])
			}
		default:
			out.WriteByte(c)
		}
	}
	return "", len(text), false
}
