package power

import "testing"

func TestTake(t *testing.T) {
	for _, test := range []struct {
		message uint32
		does    string
		answer  bool
	}{
		{messageCanSleep, "", true}, // without an answer it stays awake for 30 seconds
		{messageWillSleep, "sleep", true},
		{messageWillPowerOn, "", false},
		{messageHasWoken, "wake", false},
		{0xe0000290, "", false}, // kIOMessageSystemWillNotSleep
	} {
		did := ""
		h := Handler{Sleep: func() { did += "sleep" }, Wake: func() { did += "wake" }}
		if answer := h.take(test.message); answer != test.answer || did != test.does {
			t.Errorf("message %#x: does %q and answers %v, want %q and %v", test.message, did, answer, test.does, test.answer)
		}
	}
}
