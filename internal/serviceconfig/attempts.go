package serviceconfig

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/callboard-rpc/callboard/internal/attempt"
)

type jsonRetry struct {
	MaxAttempts          json.RawMessage `json:"maxAttempts"`
	InitialBackoff       json.RawMessage `json:"initialBackoff"`
	MaxBackoff           json.RawMessage `json:"maxBackoff"`
	BackoffMultiplier    json.RawMessage `json:"backoffMultiplier"`
	RetryableStatusCodes json.RawMessage `json:"retryableStatusCodes"`
}

func (j *jsonRetry) policy() (*attempt.Policy, error) {
	var r reading
	p := &attempt.Policy{
		Attempts:       need(&r, "maxAttempts", read[count](&r, "maxAttempts", j.MaxAttempts)).attempts(&r),
		InitialBackoff: time.Duration(positive(&r, "initialBackoff", read[duration](&r, "initialBackoff", j.InitialBackoff))),
		MaxBackoff:     time.Duration(positive(&r, "maxBackoff", read[duration](&r, "maxBackoff", j.MaxBackoff))),
		Multiplier:     positive(&r, "backoffMultiplier", read[float64](&r, "backoffMultiplier", j.BackoffMultiplier)),
		Codes:          set(read[[]statusCode](&r, "retryableStatusCodes", j.RetryableStatusCodes)),
	}
	if r.err == nil && p.Codes == 0 {
		r.err = errors.New("retryableStatusCodes: at least one is needed")
	}
	return p, r.err
}

type jsonHedging struct {
	MaxAttempts         json.RawMessage `json:"maxAttempts"`
	HedgingDelay        json.RawMessage `json:"hedgingDelay"`
	NonFatalStatusCodes json.RawMessage `json:"nonFatalStatusCodes"`
}

func (j *jsonHedging) policy() (*attempt.Policy, error) {
	var r reading
	p := &attempt.Policy{
		Hedging:  true,
		Attempts: need(&r, "maxAttempts", read[count](&r, "maxAttempts", j.MaxAttempts)).attempts(&r),
		Codes:    set(read[[]statusCode](&r, "nonFatalStatusCodes", j.NonFatalStatusCodes)),
	}
	if d := read[duration](&r, "hedgingDelay", j.HedgingDelay); d != nil {
		p.Delay = time.Duration(*d)
	}
	if r.err == nil && p.Delay < 0 {
		r.err = fmt.Errorf("hedgingDelay: %v is negative", p.Delay)
	}
	return p, r.err
}

func set(in *[]statusCode) (s attempt.Codes) {
	if in == nil {
		return 0
	}
	for _, c := range *in {
		s |= 1 << c
	}
	return s
}

// need is v, which must be there.
func need[T any](r *reading, field string, v *T) T {
	if v == nil {
		if r.err == nil {
			r.err = fmt.Errorf("%s: missing", field)
		}
		return *new(T)
	}
	return *v
}

// positive is v, which must be there and more than 0.
func positive[T duration | float64](r *reading, field string, v *T) T {
	got := need(r, field, v)
	if r.err == nil && got <= 0 {
		r.err = fmt.Errorf("%s: not more than 0", field)
	}
	return got
}

// count is a JSON integer.
type count int64

// UnmarshalJSON implements json.Unmarshaler.
func (c *count) UnmarshalJSON(b []byte) error {
	n, err := integer(b)
	if err != nil {
		return fmt.Errorf("%s is not an integer", clip(b))
	}
	*c = count(n)
	return nil
}

// attempts is how many attempts a policy may make. How many the client allows
// is decided with each RPC.
func (c count) attempts(r *reading) int {
	if r.err == nil && c < 2 {
		r.err = fmt.Errorf("maxAttempts: %d is less than 2", c)
	}
	return int(min(max(c, 0), math.MaxInt32))
}

// jsonThrottling counts in tokens; three decimals are kept.
type jsonThrottling struct {
	MaxTokens  json.RawMessage `json:"maxTokens"`
	TokenRatio json.RawMessage `json:"tokenRatio"`
}

const maxTokens = 1000 * 1000

func (j *jsonThrottling) throttling() (*attempt.Throttling, error) {
	var r reading
	t := &attempt.Throttling{
		MaxTokens:  int64(need(&r, "maxTokens", read[thousandths](&r, "maxTokens", j.MaxTokens))),
		TokenRatio: int64(need(&r, "tokenRatio", read[thousandths](&r, "tokenRatio", j.TokenRatio))),
	}
	switch {
	case r.err != nil:
	case t.MaxTokens <= 0 || t.MaxTokens > maxTokens:
		r.err = errors.New("maxTokens: not in (0, 1000]")
	case t.TokenRatio <= 0:
		r.err = errors.New("tokenRatio: not more than 0, to three decimals")
	}
	return t, r.err
}

// thousandths of a number; what is less is cut off.
type thousandths int64

// UnmarshalJSON implements json.Unmarshaler.
func (t *thousandths) UnmarshalJSON(b []byte) error {
	f, err := strconv.ParseFloat(string(b), 64)
	if err != nil {
		return fmt.Errorf("%s is not a number", clip(b))
	}
	// More than any throttle can hold is as good as what it can, and fits. What
	// is missing to a thousandth only because of binary fractions is not missing.
	const most, ulp = 10 * maxTokens, 1e-6
	*t = thousandths(math.Floor(min(max(f*1000, -most), most) + ulp))
	return nil
}
