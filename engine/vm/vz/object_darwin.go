package vz

import (
	"fmt"
	"reflect"

	"github.com/ebitengine/purego/objc"
)

// object returns the Objective-C object behind a value of vz's, a pointer to a
// structure. Its place is that of v3.7.1 and is checked.
func object(value any) (objc.ID, error) {
	p := reflect.ValueOf(value).Elem().FieldByName("pointer")
	if p.Kind() != reflect.Pointer || p.IsNil() || p.Elem().Kind() != reflect.Struct ||
		p.Elem().NumField() != 1 || p.Elem().Field(0).Kind() != reflect.UnsafePointer {
		return 0, unknownLayout(value)
	}
	return objc.ID(uintptr(p.Elem().Field(0).UnsafePointer())), nil
}

func unknownLayout(value any) error {
	return fmt.Errorf("unknown layout of %T: only vz v3.7.1 is known", value)
}
