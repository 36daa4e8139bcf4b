package policy

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestNamesAreThoseOfServiceConfigs(t *testing.T) {
	seen := map[string]bool{}
	for _, b := range Default() {
		if seen[b.Name] {
			t.Errorf("%s twice", b.Name)
		}
		seen[b.Name] = true
		if b.New == nil || b.Parse == nil {
			t.Errorf("%s is incomplete", b.Name)
		}
	}
	for _, name := range []string{
		"pick_first", "round_robin", "weighted_round_robin", "weighted_target_experimental", "priority_experimental",
		"least_request_experimental", "ring_hash_experimental", "random_subsetting_experimental", "outlier_detection_experimental",
	} {
		if !seen[name] {
			t.Errorf("no %s", name)
		}
	}
	if !seen[DefaultPolicy] {
		t.Error("no default")
	}
}

func TestConfigurations(t *testing.T) {
	registry := NewPolicies(Default()...)
	rr, _ := registry.Lookup(RoundRobinName)
	tests := []struct {
		policy, js string
		want       Config
		invalid    string // the field that is named; "-": none
	}{
		{PickFirstName, `{}`, &PickFirstConfig{}, ""},
		{PickFirstName, `{"shuffleAddressList": true, "newer": 1}`, &PickFirstConfig{ShuffleAddressList: true}, ""},
		{PickFirstName, `{"shuffleAddressList": "yes"}`, nil, "shuffleAddressList"},
		{PickFirstName, `[]`, nil, "-"},
		{RoundRobinName, `{}`, nil, ""},
		{RoundRobinName, `7`, nil, "-"},
		{LeastRequestName, `{}`, &LeastRequestConfig{ChoiceCount: 2}, ""},
		{LeastRequestName, `{"choiceCount": 5}`, &LeastRequestConfig{ChoiceCount: 5}, ""},
		{LeastRequestName, `{"choiceCount": 11}`, &LeastRequestConfig{ChoiceCount: 10}, ""},
		{LeastRequestName, `{"choiceCount": 1}`, nil, "choiceCount"},
		{LeastRequestName, `{"choiceCount": -1}`, nil, "choiceCount"},
		{LeastRequestName, `{"choiceCount": 4294967296}`, nil, "choiceCount"},
		{RingHashName, `{}`, &RingHashConfig{MinRingSize: 1024, MaxRingSize: 4096}, ""},
		{RingHashName, `{"minRingSize": 8388608, "maxRingSize": 8388608}`, &RingHashConfig{MinRingSize: 4096, MaxRingSize: 4096}, ""},
		{RingHashName, `{"minRingSize": "5", "maxRingSize": 6}`, &RingHashConfig{MinRingSize: 5, MaxRingSize: 6}, ""},
		{RingHashName, `{"minRingSize": 8388609}`, nil, "minRingSize"},
		{RingHashName, `{"maxRingSize": 8388609}`, nil, "maxRingSize"},
		{RingHashName, `{"maxRingSize": 1023}`, nil, "minRingSize"},
		{RingHashName, `{"requestHashHeader": "X-User"}`, &RingHashConfig{MinRingSize: 1024, MaxRingSize: 4096, RequestHashHeader: "x-user"}, ""},
		{RingHashName, `{"requestHashHeader": "user-bin"}`, nil, "requestHashHeader"},
		{RingHashName, `{"requestHashHeader": ":path"}`, nil, "requestHashHeader"},
		{RingHashName, `{"requestHashHeader": "a b"}`, nil, "requestHashHeader"},
		{RandomSubsettingName, `{"subsetSize": 3, "childPolicy": [{"unknown": {}}, {"round_robin": {}}]}`, &RandomSubsettingConfig{SubsetSize: 3, Child: Choice{Builder: rr}}, ""},
		{RandomSubsettingName, `{"childPolicy": [{"round_robin": {}}]}`, nil, "subsetSize"},
		{RandomSubsettingName, `{"subsetSize": 0, "childPolicy": [{"round_robin": {}}]}`, nil, "subsetSize"},
		{RandomSubsettingName, `{"subsetSize": 3}`, nil, "childPolicy"},
		{RandomSubsettingName, `{"subsetSize": 3, "childPolicy": [{"least_request_experimental": {"choiceCount": 0}}]}`, nil, "choiceCount"},
	}
	for _, tt := range tests {
		t.Run(tt.policy+" "+tt.js, func(t *testing.T) {
			b, _ := registry.Lookup(tt.policy)
			got, err := b.Parse(json.RawMessage(tt.js), registry)
			if tt.invalid != "" {
				if err == nil || got != nil {
					t.Fatalf("accepted as %+v", got)
				}
				if tt.invalid != "-" && !strings.Contains(err.Error(), tt.invalid) {
					t.Errorf("%v does not name %s", err, tt.invalid)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if rs, ok := got.(*RandomSubsettingConfig); ok { // functions do not compare
				want := tt.want.(*RandomSubsettingConfig)
				if rs.SubsetSize != want.SubsetSize || rs.Child.Builder.Name != want.Child.Builder.Name {
					t.Errorf("%+v", rs)
				}
				return
			}
			diff(t, "configuration", got, tt.want)
		})
	}
}

// FuzzParse reads one configuration with every builder. What is accepted must
// make a policy that takes it.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		``, `{}`, `null`, `[]`, `{"shuffleAddressList":true}`, `{"choiceCount":"3"}`, `{"minRingSize":1,"maxRingSize":2,"requestHashHeader":"k"}`,
		`{"subsetSize":1,"childPolicy":[{"round_robin":{}}]}`,
		`{"targets":{"a":{"weight":1,"childPolicy":[{"ring_hash_experimental":{"minRingSize":3}}]}}}`,
		`{"children":{"p":{"config":[{"pick_first":{}}]}},"priorities":["p"]}`,
		`{"interval":"1s","successRateEjection":{},"childPolicy":[{"least_request_experimental":{"choiceCount":9}}]}`,
		`{"enableOobLoadReport":true,"oobReportingPeriod":"0.1s","errorUtilizationPenalty":0.5}`,
	} {
		f.Add([]byte(s))
	}
	registry := NewPolicies(Default()...)
	f.Fuzz(func(t *testing.T, js []byte) {
		for _, b := range Default() {
			c, err := b.Parse(js, registry)
			if err != nil {
				if c != nil {
					t.Errorf("%s: an error and a configuration", b.Name)
				}
				continue
			}
			r := newRig(t, b.New(registry))
			r.rules = rules{}
			r.Update(c, WithPath(endpoint("a:1"), "a", "b"), endpoint("b:1"), WithPath(endpoint("c:1"), "p"))
			r.Update(c, endpoint("b:1"))
			r.Close()
		}
	})
}
