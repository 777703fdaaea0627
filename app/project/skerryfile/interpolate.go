package skerryfile

import (
	"fmt"
	"strings"
)

// Lookup gives a variable's value and whether it is set.
type Lookup func(name string) (string, bool)

// interpolate replaces ${A}, ${A:-default}, ${A:?message} and $$. A variable
// that is not set is an error: an app that starts at login does not have the
// shell's variables, and an empty text instead would go unnoticed.
func interpolate(text string, lookup Lookup) (string, error) {
	var out strings.Builder
	for {
		before, after, found := strings.Cut(text, "$")
		out.WriteString(before)
		if !found {
			return out.String(), nil
		}
		switch {
		case strings.HasPrefix(after, "$"):
			out.WriteByte('$')
			text = after[1:]
		case strings.HasPrefix(after, "{"):
			end := closingBrace(after)
			if end < 0 {
				return "", fmt.Errorf("%q has no closing brace; write $$ for a dollar sign", "$"+after)
			}
			value, err := expand(after[1:end], lookup)
			if err != nil {
				return "", err
			}
			out.WriteString(value)
			text = after[end+1:]
		default:
			if name := variableName(after); name != "" {
				return "", fmt.Errorf("$%s is ambiguous: write ${%s} for the variable's value here, or $$%s to leave it to the container", name, name, name)
			}
			out.WriteByte('$')
			text = after
		}
	}
}

// closingBrace is the index of the brace that closes the one text begins with.
func closingBrace(text string) int {
	depth := 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '{':
			depth++
		case '}':
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return -1
}

// variableName is the name that text begins with, or empty.
func variableName(text string) string {
	for i := 0; i < len(text); i++ {
		c := text[i]
		letter := c == '_' || (c|0x20 >= 'a' && c|0x20 <= 'z')
		if !letter && (i == 0 || c < '0' || c > '9') {
			return text[:i]
		}
	}
	return text
}

// expand gives what stands between the braces its value.
func expand(inside string, lookup Lookup) (string, error) {
	name := variableName(inside)
	operator := inside[len(name):]
	if name == "" {
		return "", fmt.Errorf("${%s} names no variable; write $$ for a dollar sign", inside)
	}
	value, set := lookup(name)
	switch {
	case operator == "":
		if !set {
			return "", fmt.Errorf("variable %s is not set; set it in the environment or in .env, or write ${%s:-default}", name, name)
		}
		return value, nil
	case strings.HasPrefix(operator, ":-"):
		if value != "" {
			return value, nil
		}
		return interpolate(operator[2:], lookup)
	case strings.HasPrefix(operator, ":?"):
		if value == "" {
			return "", fmt.Errorf("variable %s is not set: %s", name, operator[2:])
		}
		return value, nil
	default:
		return "", fmt.Errorf("${%s} is none of ${%s}, ${%s:-default} and ${%s:?message}", inside, name, name, name)
	}
}
