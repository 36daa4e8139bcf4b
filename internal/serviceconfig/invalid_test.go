package serviceconfig

import (
	"strings"
	"testing"
)

// Each of them is refused, and the error names the field.
func TestInvalidConfigs(t *testing.T) {
	const good = `"maxAttempts":2,"initialBackoff":"1s","maxBackoff":"1s","backoffMultiplier":1,"retryableStatusCodes":[14]`
	retry := func(field, value string) string {
		var fields []string
		for f := range strings.SplitSeq(good, ",") {
			if !strings.HasPrefix(f, `"`+field+`"`) {
				fields = append(fields, f)
			}
		}
		if value != "" {
			fields = append(fields, `"`+field+`":`+value)
		}
		return `{"methodConfig":[{"name":[{}],"retryPolicy":{` + strings.Join(fields, ",") + `}}]}`
	}
	if _, err := Parse(retry("", "1")); err != nil {
		t.Fatalf("what the others vary: %v", err)
	}
	method := func(s string) string { return `{"methodConfig":[{"name":[{}],` + s + `}]}` }
	for name, tt := range map[string]struct{ js, field string }{
		"empty":                       {``, ""},
		"not JSON":                    {`{`, ""},
		"null":                        {`null`, ""},
		"an array":                    {`[]`, ""},
		"two values":                  {`{} {}`, ""},
		"too long":                    {`{"a":"` + strings.Repeat("a", MaxSize) + `"}`, ""},
		"too deep":                    {`{"a":` + strings.Repeat("[", MaxDepth) + strings.Repeat("]", MaxDepth) + `}`, ""},
		"same name twice":             {`{"methodConfig":[{"name":[{"service":"a"},{"service":"a"}]}]}`, "name"},
		"default twice":               {`{"methodConfig":[{"name":[{}]},{"name":[{}]}]}`, "methodConfig[1]"},
		"method without service":      {`{"methodConfig":[{"name":[{"method":"a"}]}]}`, "name"},
		"name no object":              {`{"methodConfig":[{"name":["a"]}]}`, "name"},
		"timeout without unit":        {method(`"timeout":"1"`), "timeout"},
		"timeout a number":            {method(`"timeout":1`), "timeout"},
		"timeout not a number":        {method(`"timeout":"NaNs"`), "timeout"},
		"negative size":               {method(`"maxRequestMessageBytes":-1`), "maxRequestMessageBytes"},
		"size a word":                 {method(`"maxResponseMessageBytes":"x"`), "maxResponseMessageBytes"},
		"waitForReady a word":         {method(`"waitForReady":"yes"`), "waitForReady"},
		"one attempt":                 {retry("maxAttempts", "1"), "maxAttempts"},
		"half an attempt":             {retry("maxAttempts", "2.5"), "maxAttempts"},
		"no attempts":                 {retry("maxAttempts", ""), "maxAttempts"},
		"backoff 0":                   {retry("initialBackoff", `"0s"`), "initialBackoff"},
		"no backoff":                  {retry("initialBackoff", ""), "initialBackoff"},
		"negative maximum":            {retry("maxBackoff", `"-1s"`), "maxBackoff"},
		"no maximum":                  {retry("maxBackoff", "null"), "maxBackoff"},
		"multiplier 0":                {retry("backoffMultiplier", "0"), "backoffMultiplier"},
		"multiplier infinite":         {retry("backoffMultiplier", "1e999"), "backoffMultiplier"},
		"no multiplier":               {retry("backoffMultiplier", ""), "backoffMultiplier"},
		"no codes":                    {retry("retryableStatusCodes", ""), "retryableStatusCodes"},
		"empty codes":                 {retry("retryableStatusCodes", "[]"), "retryableStatusCodes"},
		"an unknown code":             {retry("retryableStatusCodes", `["GONE"]`), "retryableStatusCodes"},
		"a code too high":             {retry("retryableStatusCodes", `[17]`), "retryableStatusCodes"},
		"retry and hedging":           {method(`"retryPolicy":{` + good + `},"hedgingPolicy":{"maxAttempts":2}`), "hedgingPolicy"},
		"hedging once":                {method(`"hedgingPolicy":{"maxAttempts":1}`), "maxAttempts"},
		"hedging without attempts":    {method(`"hedgingPolicy":{}`), "maxAttempts"},
		"negative delay":              {method(`"hedgingPolicy":{"maxAttempts":2,"hedgingDelay":"-1s"}`), "hedgingDelay"},
		"hedging with a code unknown": {method(`"hedgingPolicy":{"maxAttempts":2,"nonFatalStatusCodes":[true]}`), "nonFatalStatusCodes"},
		"no tokens":                   {`{"retryThrottling":{"maxTokens":0,"tokenRatio":1}}`, "maxTokens"},
		"too many tokens":             {`{"retryThrottling":{"maxTokens":1000.001,"tokenRatio":1}}`, "maxTokens"},
		"tokens missing":              {`{"retryThrottling":{"tokenRatio":1}}`, "maxTokens"},
		"tokens a word":               {`{"retryThrottling":{"maxTokens":"x","tokenRatio":1}}`, "maxTokens"},
		"ratio 0":                     {`{"retryThrottling":{"maxTokens":1,"tokenRatio":0}}`, "tokenRatio"},
		"ratio of too many decimals":  {`{"retryThrottling":{"maxTokens":1,"tokenRatio":0.0009}}`, "tokenRatio"},
		"ratio missing":               {`{"retryThrottling":{"maxTokens":1}}`, "tokenRatio"},
		"health a word":               {`{"healthCheckConfig":"x"}`, "healthCheckConfig"},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := Parse(tt.js)
			if err == nil {
				t.Fatal("accepted")
			}
			if c != nil {
				t.Error("an error and a config")
			}
			if !strings.Contains(err.Error(), tt.field) {
				t.Errorf("%v: does not name %s", err, tt.field)
			}
			if len(err.Error()) > 500 {
				t.Errorf("an error of %d octets", len(err.Error()))
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	f.Add(`{"methodConfig":[{"name":[{"service":"a","method":"b"}],"timeout":"1s"}]}`)
	f.Add(`{"methodConfig":[{"name":[{}],"retryPolicy":{"maxAttempts":2,"initialBackoff":"1s","maxBackoff":"1s","backoffMultiplier":1,"retryableStatusCodes":[14,"ABORTED"]}}]}`)
	f.Add(`{"methodConfig":[{"name":[{}],"hedgingPolicy":{"maxAttempts":2,"hedgingDelay":"1s"}}],"retryThrottling":{"maxTokens":10,"tokenRatio":0.1}}`)
	f.Add(`{"loadBalancingConfig":[{"round_robin":{}}],"healthCheckConfig":{"serviceName":"x"}}`)
	f.Fuzz(func(t *testing.T, js string) {
		c, err := Parse(js)
		if (c == nil) == (err == nil) {
			t.Fatalf("%v, %v", c, err)
		}
		if err != nil {
			return
		}
		c.Method("")
		m := c.Method("/a/b")
		if th := c.Throttling; th != nil && (th.MaxTokens <= 0 || th.MaxTokens > maxTokens || th.TokenRatio <= 0) {
			t.Errorf("throttling %+v", th)
		}
		if m == nil {
			return
		}
		if p := m.Attempts; p != nil && (p.Attempts < 2 || p.Delay < 0 || !p.Hedging && (p.InitialBackoff <= 0 || p.MaxBackoff <= 0 || p.Multiplier <= 0 || p.Codes == 0)) {
			t.Errorf("policy %+v", p)
		}
	})
}
