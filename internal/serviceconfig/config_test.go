package serviceconfig

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"google.golang.org/grpc/codes"

	"github.com/callboard-rpc/callboard/internal/attempt"
)

func parsed(t *testing.T, js string) *Config {
	t.Helper()
	c, err := Parse(js)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestMethodIsFoundByNameThenServiceThenDefault(t *testing.T) {
	c := parsed(t, `{"methodConfig": [
		{"name": [{"service": "a.B", "method": "C"}], "timeout": "1.5s"},
		{"name": [{"service": "a.B"}], "waitForReady": true, "maxRequestMessageBytes": "100"},
		{"name": [{}], "maxResponseMessageBytes": 7}
	]}`)
	second, yes, hundred, seven := 1500*time.Millisecond, true, 100, 7
	for path, want := range map[string]*Method{
		"/a.B/C": {Timeout: &second},
		"/a.B/D": {WaitForReady: &yes, MaxRequest: &hundred},
		"/x.Y/Z": {MaxResponse: &seven},
		"":       {MaxResponse: &seven},
	} {
		if diff := cmp.Diff(want, c.Method(path)); diff != "" {
			t.Errorf("%s: %s", path, diff)
		}
	}
	if m := parsed(t, `{}`).Method("/a.B/C"); m != nil {
		t.Errorf("an empty config says %+v", m)
	}
}

func TestRetryPolicy(t *testing.T) {
	c := parsed(t, `{"methodConfig": [{"name": [{}], "retryPolicy": {
		"maxAttempts": 400, "initialBackoff": "0.1s", "maxBackoff": "1s", "backoffMultiplier": 1.5,
		"retryableStatusCodes": ["UNAVAILABLE", "aborted", 8]
	}}]}`)
	want := &attempt.Policy{
		Attempts: 400, InitialBackoff: 100 * time.Millisecond, MaxBackoff: time.Second, Multiplier: 1.5,
		Codes: attempt.CodesOf(codes.Unavailable, codes.Aborted, codes.ResourceExhausted),
	}
	if diff := cmp.Diff(want, c.Method("/a/b").Attempts); diff != "" {
		t.Error(diff)
	}
}

func TestHedgingPolicy(t *testing.T) {
	c := parsed(t, `{"methodConfig": [
		{"name": [{"service": "a"}], "hedgingPolicy": {"maxAttempts": 2, "hedgingDelay": "0.5s", "nonFatalStatusCodes": ["INTERNAL"]}},
		{"name": [{"service": "b"}], "hedgingPolicy": {"maxAttempts": 3}}
	]}`)
	want := &attempt.Policy{Attempts: 2, Hedging: true, Delay: 500 * time.Millisecond, Codes: attempt.CodesOf(codes.Internal)}
	if diff := cmp.Diff(want, c.Method("/a/m").Attempts); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(&attempt.Policy{Attempts: 3, Hedging: true}, c.Method("/b/m").Attempts); diff != "" {
		t.Error(diff)
	}
}

func TestThrottling(t *testing.T) {
	for js, want := range map[string]attempt.Throttling{
		`{"maxTokens": 10, "tokenRatio": 0.1}`:      {MaxTokens: 10_000, TokenRatio: 100},
		`{"maxTokens": 1000, "tokenRatio": 0.5466}`: {MaxTokens: 1_000_000, TokenRatio: 546},
		`{"maxTokens": 1, "tokenRatio": 0.001}`:     {MaxTokens: 1000, TokenRatio: 1},
		`{"maxTokens": 1, "tokenRatio": 1e300}`:     {MaxTokens: 1000, TokenRatio: 10_000_000},
	} {
		got := parsed(t, `{"retryThrottling": `+js+`}`).Throttling
		if diff := cmp.Diff(&want, got); diff != "" {
			t.Errorf("%s: %s", js, diff)
		}
	}
	if parsed(t, `{}`).Throttling != nil {
		t.Error("throttling without being asked")
	}
}

// What the balancer and the health check are told is kept as it is.
func TestWhatOthersParse(t *testing.T) {
	health := "h"
	for js, want := range map[string]*Config{
		`{"loadBalancingConfig": [{"x": {"y": 1}}]}`:                {LoadBalancing: json.RawMessage(`[{"x": {"y": 1}}]`)},
		`{"loadBalancingConfig": null}`:                             {},
		`{"loadBalancingPolicy": "round_robin"}`:                    {LoadBalancingPolicy: "round_robin"},
		`{"healthCheckConfig": {"serviceName": "h", "other": [1]}}`: {HealthService: &health},
		`{"healthCheckConfig": {}}`:                                 {HealthService: new(string)},
		`{"unknown": {"of": ["any", "kind"]}}`:                      {},
	} {
		if diff := cmp.Diff(want, parsed(t, js), cmpopts.IgnoreUnexported(Config{}), cmpopts.IgnoreFields(Config{}, "Config")); diff != "" {
			t.Errorf("%s: %s", js, diff)
		}
	}
}

func TestDurations(t *testing.T) {
	for in, want := range map[string]time.Duration{
		"1s": time.Second, "0.000000001s": 1, ".5s": time.Second / 2, "1.s": time.Second, "-1.5s": -1500 * time.Millisecond,
		"315576000000s": 1<<63 - 1, "9223372036s": 1<<63 - 1, "9223372035.5s": 9223372035_500_000_000,
	} {
		if got, err := parseDuration(in); err != nil || got != want {
			t.Errorf("%q: %v, %v, want %v", in, got, err, want)
		}
	}
	for _, in := range []string{"", "s", "1", "-s", ".s", "1.0000000001s", "1e3s", "0x1s", "1.2.3s", "--1s", "+1s", "1ms", "NaNs", "315576000001s", "99999999999999999999s"} {
		if got, err := parseDuration(in); err == nil {
			t.Errorf("%q: %v", in, got)
		}
	}
}
