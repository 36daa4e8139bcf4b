package resolver

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"
)

func TestChooseServiceConfig(t *testing.T) {
	const one, two = `{"a":1}`, `{"b":2}`
	me := client{hostname: "here", draw: 49}
	for name, tt := range map[string]struct {
		records []string
		want    string
		broken  bool
	}{
		"nothing":                    {},
		"another attribute":          {records: []string{"v=spf1 -all"}},
		"no criteria":                {records: []string{`grpc_config=[{"serviceConfig":{"a":1}}]`}, want: one},
		"an empty list":              {records: []string{`grpc_config=[]`}},
		"the first that fits":        {records: []string{`grpc_config=[{"percentage":0,"serviceConfig":{"b":2}},{"serviceConfig":{"a":1}},{"serviceConfig":{"b":2}}]`}, want: one},
		"below the percentage":       {records: []string{`grpc_config=[{"percentage":50,"serviceConfig":{"a":1}}]`}, want: one},
		"above the percentage":       {records: []string{`grpc_config=[{"percentage":49,"serviceConfig":{"a":1}}]`}},
		"percentage 100":             {records: []string{`grpc_config=[{"percentage":100,"serviceConfig":{"a":1}}]`}, want: one},
		"the language":               {records: []string{`grpc_config=[{"clientLanguage":["java"],"serviceConfig":{"b":2}},{"clientLanguage":["c++","Go"],"serviceConfig":{"a":1}}]`}, want: one},
		"as grpc-go writes it":       {records: []string{`grpc_config=[{"clientLanguage":["GO"],"clientHostName":["here"],"serviceConfig":{"a":1}}]`}, want: one},
		"an empty criterion":         {records: []string{`grpc_config=[{"clientLanguage":[],"clientHostname":[],"serviceConfig":{"a":1}}]`}, want: one},
		"the host":                   {records: []string{`grpc_config=[{"clientHostname":["there"],"serviceConfig":{"b":2}},{"clientHostname":["here"],"serviceConfig":{"a":1}}]`}, want: one},
		"the host in another case":   {records: []string{`grpc_config=[{"clientHostname":["Here"],"serviceConfig":{"a":1}}]`}},
		"all of them":                {records: []string{`grpc_config=[{"clientHostname":["here"],"clientLanguage":["java"],"serviceConfig":{"a":1}}]`}},
		"behind another record":      {records: []string{"v=spf1 -all", `grpc_config=[{"serviceConfig":{"a":1}}]`, "something"}, want: one},
		"in pieces":                  {records: []string{`grpc_config=[{"serviceConfig"`, `:{"a":1}}]`}, want: one},
		"two records":                {records: []string{`grpc_config=[{"serviceConfig":{"b":2}}]`, `grpc_config=[{"serviceConfig":{"a":1}}]`}, want: one},
		"two records, rotated":       {records: []string{`grpc_config=[{"serviceConfig":{"a":1}}]`, `grpc_config=[{"serviceConfig":{"b":2}}]`}, want: one},
		"no JSON":                    {records: []string{`grpc_config=nonsense`}, broken: true},
		"no list":                    {records: []string{`grpc_config={"serviceConfig":{"a":1}}`}, broken: true},
		"not complete":               {records: []string{`grpc_config=[{"serviceConfig":{"a":1}}`}, broken: true},
		"more behind":                {records: []string{`grpc_config=[{"serviceConfig":{"a":1}}]`, `grpc_config=[] []`}, broken: true},
		"an unknown criterion":       {records: []string{`grpc_config=[{"clientAge":3,"serviceConfig":{"a":1}}]`}, broken: true},
		"percentage 101":             {records: []string{`grpc_config=[{"serviceConfig":{"a":1}},{"percentage":101,"serviceConfig":{"b":2}}]`}, broken: true},
		"percentage -1":              {records: []string{`grpc_config=[{"percentage":-1,"serviceConfig":{"b":2}}]`}, broken: true},
		"percentage one half":        {records: []string{`grpc_config=[{"percentage":0.5,"serviceConfig":{"b":2}}]`}, broken: true},
		"no service config":          {records: []string{`grpc_config=[{"percentage":1}]`}, broken: true},
		"a service config, not one":  {records: []string{`grpc_config=[{"serviceConfig":[]}]`}, broken: true},
		"too much":                   {records: []string{"grpc_config=[" + strings.Repeat(" ", maxTXT) + "]"}, broken: true},
		"too much in pieces":         {records: []string{"grpc_config=[", strings.Repeat(" ", maxTXT), "]"}, broken: true},
		"the second one that is not": {records: []string{`grpc_config=[{"serviceConfig":{"b":2}},7]`}, broken: true},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := me.choose(tt.records)
			if got != tt.want || (err != nil) != tt.broken {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
	if got, err := (client{draw: 49}).choose([]string{`grpc_config=[{"serviceConfig":` + two + `}]`}); got != two || err != nil {
		t.Error(got, err)
	}
}

func FuzzChooseServiceConfig(f *testing.F) {
	for _, s := range []string{
		"", "grpc_config=", "grpc_config=[]", "grpc_config=null", `grpc_config=[null]`, "v=spf1\ngrpc_config=[{\"serviceConfig\":{}}]",
		`grpc_config=[{"clientLanguage":["go"],"percentage":50,"clientHostname":["h"],"serviceConfig":{"a":[]}}]`,
		"grpc_config=[{\"serviceConfig\"\n:{}}]", `grpc_config=[{"percentage":99999999999999999999,"serviceConfig":{}}]`,
	} {
		f.Add(s, 50)
	}
	f.Fuzz(func(t *testing.T, s string, draw int) {
		records := strings.Split(s, "\n")
		js, err := client{hostname: "h", draw: draw}.choose(records)
		switch {
		case err != nil && js != "":
			t.Errorf("%q in spite of %v", js, err)
		case err == nil && js != "":
			var object map[string]json.RawMessage
			if err := json.Unmarshal([]byte(js), &object); err != nil {
				t.Errorf("%s: %v", strconv.Quote(js), err)
			}
		}
	})
}
