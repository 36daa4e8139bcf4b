package policy

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/connectivity"
)

// byName compares the choice of a policy by its name and configuration.
var byName = cmp.Transformer("Choice", func(c Choice) any { return []any{c.Builder.Name, c.Config} })

func TestContainerConfigs(t *testing.T) {
	pf := Choice{Builder: PickFirst()}
	if c, err := PickFirst().Parse(json.RawMessage(`{}`), nil); err == nil {
		pf.Config = c
	}
	outlier := func(change func(*OutlierDetectionConfig)) *OutlierDetectionConfig {
		c := defaultOutlierDetection()
		c.Policy = pf
		change(c)
		return c
	}
	wrr := func(change func(*WeightedRoundRobinConfig)) *WeightedRoundRobinConfig {
		c := defaultWeightedRoundRobin()
		change(c)
		return c
	}
	tests := map[string]struct {
		b    Builder
		js   string
		want Config
	}{
		"no targets": {WeightedTarget(), `{}`, &WeightedTargetConfig{Targets: map[string]Target{}}},
		"targets": {
			WeightedTarget(), `{"targets":{"a":{"weight":1,"childPolicy":[{"pick_first":{}}]},"b":{"weight":"4294967294","childPolicy":[{"no_such":{}},{"pick_first":{}}]}}}`,
			&WeightedTargetConfig{Targets: map[string]Target{"a": {1, pf}, "b": {math.MaxUint32 - 1, pf}}},
		},
		"no priorities": {Priority(), `{"children":{},"priorities":[]}`, &PriorityConfig{Children: map[string]PriorityChild{}, Priorities: []string{}}},
		"priorities": {
			Priority(), `{"children":{"a":{"config":[{"pick_first":{}}]},"b":{"config":[{"pick_first":{}}],"ignoreReresolutionRequests":true}},"priorities":["b","a"]}`,
			&PriorityConfig{Children: map[string]PriorityChild{"a": {pf, false}, "b": {pf, true}}, Priorities: []string{"b", "a"}},
		},
		"outlier detection by default": {OutlierDetection(), `{"childPolicy":[{"pick_first":{}}]}`, outlier(func(*OutlierDetectionConfig) {})},
		"algorithms by default": {
			OutlierDetection(), `{"successRateEjection":{},"failurePercentageEjection":{},"childPolicy":[{"pick_first":{}}]}`,
			outlier(func(c *OutlierDetectionConfig) {
				c.SuccessRate = &SuccessRateEjection{1900, 100, 5, 100}
				c.FailurePercentage = &FailurePercentageEjection{85, 100, 5, 50}
			}),
		},
		"outlier detection": {
			OutlierDetection(), `{"interval":"1.5s","baseEjectionTime":"2s","maxEjectionTime":"0.000000003s","maxEjectionPercent":100,
			"successRateEjection":{"stdevFactor":1,"enforcementPercentage":2,"minimumHosts":3,"requestVolume":4},
			"failurePercentageEjection":{"threshold":0,"enforcementPercentage":6,"minimumHosts":7,"requestVolume":8},
			"childPolicy":[{"pick_first":{}}],"unknown":1}`,
			outlier(func(c *OutlierDetectionConfig) {
				c.Interval, c.BaseEjectionTime, c.MaxEjectionTime, c.MaxEjectionPercent = 1500*time.Millisecond, 2*time.Second, 3, 100
				c.SuccessRate = &SuccessRateEjection{1, 2, 3, 4}
				c.FailurePercentage = &FailurePercentageEjection{0, 6, 7, 8}
			}),
		},
		"null is absent":                  {OutlierDetection(), `{"interval":null,"successRateEjection":null,"childPolicy":[{"pick_first":{}}]}`, outlier(func(*OutlierDetectionConfig) {})},
		"weighted round robin by default": {WeightedRoundRobin(), `{}`, wrr(func(*WeightedRoundRobinConfig) {})},
		"weighted round robin": {
			WeightedRoundRobin(), `{"enableOobLoadReport":true,"oobReportingPeriod":"1s","blackoutPeriod":"0s","weightExpirationPeriod":"3s","weightUpdatePeriod":"0.05s","errorUtilizationPenalty":0.5}`,
			&WeightedRoundRobinConfig{OutOfBand: true, OutOfBandPeriod: time.Second, Expiration: 3 * time.Second, UpdatePeriod: 50 * time.Millisecond, ErrorPenalty: 0.5},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := tc.b.Parse(json.RawMessage(tc.js), testRegistry())
			if diff := cmp.Diff(tc.want, got, byName); err != nil || diff != "" {
				t.Errorf("%v %s", err, diff)
			}
		})
	}
}

func TestContainerConfigsRefused(t *testing.T) {
	pf := `"childPolicy":[{"pick_first":{}}]`
	tests := map[string]struct {
		b     Builder
		js    string
		field string // that the error names
	}{
		"no object":                 {WeightedTarget(), `[]`, ""},
		"targets are no object":     {WeightedTarget(), `{"targets":1}`, "targets"},
		"weight 0":                  {WeightedTarget(), `{"targets":{"a":{"weight":0,` + pf + `}}}`, "weight"},
		"no weight":                 {WeightedTarget(), `{"targets":{"a":{` + pf + `}}}`, "weight"},
		"negative weight":           {WeightedTarget(), `{"targets":{"a":{"weight":-1,` + pf + `}}}`, "weight"},
		"weight beyond 32 bits":     {WeightedTarget(), `{"targets":{"a":{"weight":4294967296,` + pf + `}}}`, "weight"},
		"sum of weights":            {WeightedTarget(), `{"targets":{"a":{"weight":4294967295,` + pf + `},"b":{"weight":1,` + pf + `}}}`, "weight"},
		"no child policy":           {WeightedTarget(), `{"targets":{"a":{"weight":1}}}`, "childPolicy"},
		"unknown child policy":      {WeightedTarget(), `{"targets":{"a":{"weight":1,"childPolicy":[{"no_such":{}}]}}}`, "childPolicy"},
		"child not in priorities":   {Priority(), `{"children":{"a":{"config":[{"pick_first":{}}]}},"priorities":[]}`, "children"},
		"priority not in children":  {Priority(), `{"children":{},"priorities":["a"]}`, "priorities"},
		"priority twice":            {Priority(), `{"children":{"a":{"config":[{"pick_first":{}}]}},"priorities":["a","a"]}`, "priorities"},
		"child without config":      {Priority(), `{"children":{"a":{}},"priorities":["a"]}`, "config"},
		"ignore is no boolean":      {Priority(), `{"children":{"a":{"config":[{"pick_first":{}}],"ignoreReresolutionRequests":3}},"priorities":["a"]}`, "ignoreReresolutionRequests"},
		"outlier without child":     {OutlierDetection(), `{}`, "childPolicy"},
		"negative interval":         {OutlierDetection(), `{"interval":"-1s",` + pf + `}`, "interval"},
		"negative base time":        {OutlierDetection(), `{"baseEjectionTime":"-0.1s",` + pf + `}`, "baseEjectionTime"},
		"negative max time":         {OutlierDetection(), `{"maxEjectionTime":"-1s",` + pf + `}`, "maxEjectionTime"},
		"duration without s":        {OutlierDetection(), `{"interval":"1",` + pf + `}`, "interval"},
		"duration as number":        {OutlierDetection(), `{"interval":1,` + pf + `}`, "interval"},
		"max percentage":            {OutlierDetection(), `{"maxEjectionPercent":101,` + pf + `}`, "maxEjectionPercent"},
		"success rate enforcement":  {OutlierDetection(), `{"successRateEjection":{"enforcementPercentage":101},` + pf + `}`, "enforcementPercentage"},
		"failure threshold":         {OutlierDetection(), `{"failurePercentageEjection":{"threshold":101},` + pf + `}`, "threshold"},
		"failure enforcement":       {OutlierDetection(), `{"failurePercentageEjection":{"enforcementPercentage":101},` + pf + `}`, "enforcementPercentage"},
		"half a host":               {OutlierDetection(), `{"failurePercentageEjection":{"minimumHosts":0.5},` + pf + `}`, "minimumHosts"},
		"negative penalty":          {WeightedRoundRobin(), `{"errorUtilizationPenalty":-1}`, "errorUtilizationPenalty"},
		"negative blackout":         {WeightedRoundRobin(), `{"blackoutPeriod":"-1s"}`, "blackoutPeriod"},
		"negative expiration":       {WeightedRoundRobin(), `{"weightExpirationPeriod":"-1s"}`, "weightExpirationPeriod"},
		"out of band is no boolean": {WeightedRoundRobin(), `{"enableOobLoadReport":"true"}`, "enableOobLoadReport"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			c, err := tc.b.Parse(json.RawMessage(tc.js), testRegistry())
			if err == nil || c != nil {
				t.Fatalf("accepted as %+v", c)
			}
			if !strings.Contains(err.Error(), tc.field) {
				t.Errorf("%q does not name %s", err, tc.field)
			}
		})
	}
}

func TestConfigNestingIsBounded(t *testing.T) {
	nested := func(n int) json.RawMessage {
		return json.RawMessage(strings.Repeat(`{"childPolicy":[{"outlier_detection_experimental":`, n) +
			`{"childPolicy":[{"pick_first":{}}]}` + strings.Repeat(`}]}`, n))
	}
	if _, err := OutlierDetection().Parse(nested(maxNesting-1), testRegistry()); err != nil {
		t.Errorf("%d deep: %v", maxNesting, err)
	}
	if _, err := OutlierDetection().Parse(nested(maxNesting), testRegistry()); !errors.Is(err, errNesting) {
		t.Errorf("%d deep: %v", maxNesting+1, err)
	}
}

func TestParseSeconds(t *testing.T) {
	tests := map[string]time.Duration{
		"0s": 0, "1s": time.Second, "1.s": time.Second, ".5s": 500 * time.Millisecond, "0.000000001s": 1,
		"-1.5s": -1500 * time.Millisecond, "315576000000s": math.MaxInt64, "-315576000000s": -math.MaxInt64,
		"00000000000000000000001s": time.Second, "9223372036.854775807s": math.MaxInt64,
	}
	for s, want := range tests {
		if got, err := parseSeconds(s); err != nil || got != want {
			t.Errorf("%s is %v, %v; want %v", s, got, err, want)
		}
	}
	for _, s := range []string{"", "s", ".s", "-s", "1", "1m", "1.0000000001s", "+1s", "--1s", "1 s", "1.2.3s", "1e3s", "315576000001s", "99999999999999999999s", "１s"} {
		if got, err := parseSeconds(s); err == nil {
			t.Errorf("%q is accepted as %v", s, got)
		}
	}
}

// FuzzContainerConfigs gives the parsers anything, and what they accept to the
// policy: the first update must publish, and Close must end it.
func FuzzContainerConfigs(f *testing.F) {
	builders := []Builder{WeightedTarget(), Priority(), OutlierDetection(), WeightedRoundRobin()}
	for i, js := range []string{
		`{"targets":{"a":{"weight":1,"childPolicy":[{"pick_first":{}}]}}}`,
		`{"children":{"a":{"config":[{"round_robin":{}}],"ignoreReresolutionRequests":true}},"priorities":["a"]}`,
		`{"interval":"1.5s","maxEjectionPercent":"10","successRateEjection":{"stdevFactor":1},"failurePercentageEjection":{"threshold":0},"childPolicy":[{"pick_first":{}}]}`,
		`{"enableOobLoadReport":true,"oobReportingPeriod":"1s","blackoutPeriod":"0s","errorUtilizationPenalty":0.5}`,
	} {
		f.Add(uint8(i), []byte(js))
	}
	f.Fuzz(func(t *testing.T, which uint8, js []byte) {
		b := builders[int(which)%len(builders)]
		c, err := b.Parse(js, testRegistry())
		if (err == nil) == (c == nil) {
			t.Fatalf("%v and %v", c, err)
		}
		if err != nil {
			return
		}
		r := newRig(t, b.New(testRegistry()))
		r.rules = rules{}
		r.Update(c, WithPath(endpoint("a"), "a", "a"), WithPath(endpoint("b"), "b"), endpoint("c"))
		for _, s := range r.Living() {
			if s.now == connectivity.Connecting {
				r.Set(s.addrs[0].Addr, ready, nil)
			}
		}
		for range 20 {
			r.Pass(max(r.wake.Sub(r.now), 0))
		}
		r.Close()
	})
}
