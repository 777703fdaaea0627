package skerryfile

// shape is what a value looks like, as a JSON Schema (draft 2020-12).
type shape map[string]any

var (
	aText    = shape{"type": "string"}
	aNumber  = shape{"type": "number", "exclusiveMinimum": 0}
	aCount   = shape{"type": "integer", "minimum": 0}
	aBoolean = shape{"type": "boolean"}
	aPort    = shape{"type": "integer", "minimum": 1, "maximum": 65535}
	aScalar  = shape{"type": []string{"string", "number", "boolean"}}

	aSize     = shape{"type": "string", "pattern": `^[0-9.]+ ?([bB]|[kKmMgGtTpP]([iI]?[bB])?)$|\$\{`}
	aDuration = shape{"type": "string", "pattern": `^([0-9.]+(ns|us|µs|ms|s|m|h))+$|\$\{`}
	texts     = listOf(aText)
	words     = either(aText, texts)
)

func listOf(element shape) shape { return shape{"type": "array", "items": element} }
func tableOf(value shape) shape {
	return shape{"type": "object", "additionalProperties": value}
}
func either(shapes ...shape) shape { return shape{"anyOf": shapes} }
func oneOf(values ...any) shape    { return shape{"enum": values} }
func described(s shape, doc string) shape {
	d := shape{"description": doc}
	for name, value := range s {
		d[name] = value
	}
	return d
}

// tableWith is a table with these keys and no others.
func tableWith[T any](keys []key[T], required ...string) shape {
	properties := map[string]shape{}
	for _, k := range keys {
		if k.shape != nil {
			properties[k.name] = described(k.shape, k.doc)
		}
	}
	s := shape{"type": "object", "additionalProperties": false, "properties": properties}
	if required != nil {
		s["required"] = required
	}
	return s
}

// JSONSchema describes project files to editors. It cannot tell all that Load
// finds.
func JSONSchema() map[string]any {
	properties := tableWith(topKeys, "containers")
	container := tableWith(containerKeys)
	all := properties["properties"].(map[string]shape)
	all["defaults"] = described(shape{"$ref": "#/$defs/container"}, docOf(topKeys, "defaults"))
	all["containers"] = described(shape{"type": "object", "minProperties": 1, "propertyNames": shape{"pattern": `^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`},
		"additionalProperties": shape{"$ref": "#/$defs/container"}}, docOf(topKeys, "containers"))
	properties["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	properties["title"] = Name
	properties["$defs"] = map[string]shape{"container": container}
	return properties
}

func docOf[T any](keys []key[T], name string) string {
	for _, k := range keys {
		if k.name == name {
			return k.doc
		}
	}
	return ""
}
