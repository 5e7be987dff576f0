package localcloud

import (
	"encoding/json"
	"testing"
	"time"
)

// FuzzFaultDuration holds that a duration of the admin API is read as it is written.
func FuzzFaultDuration(f *testing.F) {
	for _, s := range []string{`"1.5s"`, `"0"`, `1`, `null`, `"x"`, `"-1h"`, `"9999999h"`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var d, back Duration
		if json.Unmarshal(body, &d) != nil {
			return
		}
		text, err := json.Marshal(d)
		if err == nil {
			err = json.Unmarshal(text, &back)
		}
		if err != nil || back != d {
			t.Errorf("%s is %v, which is %v: %v", body, time.Duration(d), time.Duration(back), err)
		}
	})
}
