package inflate_test

var files = []struct {
	name string
	file []byte
}{}
