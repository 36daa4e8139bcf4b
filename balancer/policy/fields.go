package policy

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// fields reads a policy's JSON configuration field by field, by the rules of
// protobuf's JSON mapping that service configs follow: a field that is absent
// or null keeps its default, unknown ones are ignored, integers may be strings,
// durations are strings of seconds with an s. The first fault is kept, with the
// field's name.
type fields struct {
	raw map[string]json.RawMessage
	err error
}

func parseFields(js json.RawMessage) *fields {
	f := &fields{}
	if len(js) != 0 {
		f.err = json.Unmarshal(js, &f.raw)
	}
	return f
}

// read calls parse with the field's JSON if it is there and nothing failed yet.
func (f *fields) read(name string, parse func(json.RawMessage) error) (present bool) {
	js, ok := f.raw[name]
	if !ok || f.err != nil || string(js) == "null" {
		return false
	}
	if err := parse(js); err != nil {
		f.err = fmt.Errorf("%s: %w", name, err)
	}
	return true
}

// require is read for a field that must be there.
func (f *fields) require(name string, parse func(json.RawMessage) error) {
	if !f.read(name, parse) && f.err == nil {
		f.err = fmt.Errorf("%s: %w", name, errMissing)
	}
}

var (
	errMissing  = errors.New("missing")
	errNegative = errors.New("must not be negative")
)

// duration reads one that must not be negative.
func (f *fields) duration(name string, to *time.Duration) {
	f.read(name, func(js json.RawMessage) error {
		var s string
		if err := json.Unmarshal(js, &s); err != nil {
			return err
		}
		d, err := parseSeconds(s)
		if err == nil && d < 0 {
			err = errNegative
		}
		if err == nil {
			*to = d
		}
		return err
	})
}

// count reads an integer from 0 to most.
func (f *fields) count(name string, most uint32, to *uint32) {
	f.read(name, func(js json.RawMessage) error {
		text := string(js)
		if text[0] == '"' {
			if err := json.Unmarshal(js, &text); err != nil {
				return err
			}
		}
		n, err := strconv.ParseUint(text, 10, 32)
		if err != nil {
			return err
		}
		if n > uint64(most) {
			return fmt.Errorf("%d is more than %d", n, most)
		}
		*to = uint32(n)
		return nil
	})
}

func (f *fields) boolean(name string, to *bool) {
	f.read(name, func(js json.RawMessage) error { return json.Unmarshal(js, to) })
}

// number reads a finite one that must not be negative.
func (f *fields) number(name string, to *float64) {
	f.read(name, func(js json.RawMessage) error {
		var n float64
		if err := json.Unmarshal(js, &n); err != nil {
			return err
		}
		if n < 0 {
			return errNegative
		}
		*to = n
		return nil
	})
}

// policies reads a list of child policies and takes the first one known.
func (f *fields) policies(name string, r Registry, to *Choice) {
	f.require(name, func(js json.RawMessage) error {
		inner, err := deeper(r)
		if err != nil {
			return err
		}
		*to, err = ParseList(js, inner)
		return err
	})
}

// parseSeconds reads protobuf's JSON form of a duration, such as "1.5s": at
// most nine decimals and 315,576,000,000 seconds. What is beyond time.Duration,
// 292 years, is cut to that.
func parseSeconds(s string) (time.Duration, error) {
	digits, ok := strings.CutSuffix(s, "s")
	if !ok {
		return 0, fmt.Errorf("duration %q does not end in s", s)
	}
	digits, negative := strings.CutPrefix(digits, "-")
	whole, decimals, _ := strings.Cut(digits, ".")
	if whole+decimals == "" || len(decimals) > 9 || strings.Trim(whole+decimals, "0123456789") != "" {
		return 0, fmt.Errorf("duration %q is malformed", s)
	}
	sec, err := strconv.ParseUint("0"+whole, 10, 64)
	if err != nil || sec > maxProtoSeconds {
		return 0, fmt.Errorf("duration %q is out of range", s)
	}
	nanos, err := strconv.ParseUint((decimals + "000000000")[:9], 10, 64)
	if err != nil {
		return 0, err
	}
	d := time.Duration(math.MaxInt64)
	if sec < uint64(math.MaxInt64/time.Second) {
		d = time.Duration(sec)*time.Second + time.Duration(nanos)
	}
	if negative {
		d = -d
	}
	return d, nil
}

const maxProtoSeconds = 315_576_000_000

// maxNesting bounds how deep policies are in each other. Every level reads its
// JSON again, so that without a bound a small config could cost seconds.
const maxNesting = 16

var errNesting = fmt.Errorf("policies nested more than %d deep", maxNesting)

// nested is the registry that a child policy's configuration is parsed with.
type nested struct {
	Registry
	depth int
}

func deeper(r Registry) (Registry, error) {
	n, ok := r.(nested)
	if !ok {
		n = nested{Registry: r}
	}
	if n.depth++; n.depth > maxNesting {
		return nil, errNesting
	}
	return n, nil
}
