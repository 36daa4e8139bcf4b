package serviceconfig

import (
	"testing"
	"time"
)

func TestMethodIsFoundByNameThenServiceThenDefault(t *testing.T) {
	c, err := Parse(`{"methodConfig": [
		{"name": [{"service": "a.B", "method": "C"}], "timeout": "1.5s"},
		{"name": [{"service": "a.B"}], "waitForReady": true, "maxRequestMessageBytes": "100"},
		{"name": [{}], "maxResponseMessageBytes": 7}
	]}`)
	if err != nil {
		t.Fatal(err)
	}
	if m := c.Method("/a.B/C"); m == nil || m.Timeout == nil || *m.Timeout != 1500*time.Millisecond {
		t.Errorf("exact name: %+v", m)
	}
	if m := c.Method("/a.B/D"); m == nil || m.WaitForReady == nil || !*m.WaitForReady || *m.MaxRequest != 100 {
		t.Errorf("service: %+v", m)
	}
	if m := c.Method("/x.Y/Z"); m == nil || m.MaxResponse == nil || *m.MaxResponse != 7 {
		t.Errorf("default: %+v", m)
	}
}

func TestInvalidConfigs(t *testing.T) {
	for name, js := range map[string]string{
		"not JSON":               `{`,
		"same name twice":        `{"methodConfig":[{"name":[{"service":"a"},{"service":"a"}]}]}`,
		"method without service": `{"methodConfig":[{"name":[{"method":"a"}]}]}`,
		"timeout without unit":   `{"methodConfig":[{"name":[{}],"timeout":"1"}]}`,
		"timeout NaN":            `{"methodConfig":[{"name":[{}],"timeout":"NaNs"}]}`,
		"negative size":          `{"methodConfig":[{"name":[{}],"maxRequestMessageBytes":-1}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := Parse(js); err == nil {
				t.Error("accepted")
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	f.Add(`{"methodConfig":[{"name":[{"service":"a","method":"b"}],"timeout":"1s"}]}`)
	f.Fuzz(func(t *testing.T, js string) {
		if c, err := Parse(js); err == nil {
			c.Method("/a/b")
		}
	})
}
