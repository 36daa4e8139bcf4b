package serviceconfig

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
)

// reading keeps the first error of several fields. encoding/json does not say
// in which field a value is that it cannot read.
type reading struct{ err error }

// read reads a field's value; nil where there is none.
func read[T any](r *reading, field string, js json.RawMessage) *T {
	if len(js) == 0 || string(js) == "null" || r.err != nil {
		return nil
	}
	v := new(T)
	if err := json.Unmarshal(js, v); err != nil {
		r.err = fmt.Errorf("%s: %w", field, err)
		return nil
	}
	return v
}

// integer reads an integer that protobuf's JSON may write as a string. One that
// is too large for an int64 is the largest.
func integer(b []byte) (int64, error) {
	n, err := strconv.ParseInt(strings.Trim(string(b), `"`), 10, 64)
	if errors.Is(err, strconv.ErrRange) {
		return n, nil
	}
	return n, err
}

// clip bounds what an error quotes of a config.
func clip(b []byte) string {
	const most = 64
	if len(b) > most {
		return string(b[:most]) + "..."
	}
	return string(b)
}

// duration is protobuf's JSON form of a Duration: "1.5s".
type duration time.Duration

// maxSeconds is how many a Duration may have (protobuf, duration.proto): about
// 10,000 years. What exceeds Go's 292 is cut to them.
const maxSeconds = 315_576_000_000

// UnmarshalJSON implements json.Unmarshaler.
func (d *duration) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return fmt.Errorf("%s: %w", clip(b), errDuration)
	}
	got, err := parseDuration(s)
	if err != nil {
		return fmt.Errorf("%s: %w", clip(b), err)
	}
	*d = duration(got)
	return nil
}

var (
	errDuration = errors.New(`not a duration in seconds, like "1.5s"`)
	errTooLong  = errors.New("longer than a protobuf Duration may be")
)

func parseDuration(s string) (time.Duration, error) {
	num, ok := strings.CutSuffix(s, "s")
	if !ok {
		return 0, errDuration
	}
	num, negative := strings.CutPrefix(num, "-")
	whole, fraction, _ := strings.Cut(num, ".")
	if len(whole)+len(fraction) == 0 || len(fraction) > 9 || !digits(whole) || !digits(fraction) {
		return 0, errDuration
	}
	var sec, ns int64
	if whole != "" {
		var err error
		if sec, err = strconv.ParseInt(whole, 10, 64); err != nil || sec > maxSeconds {
			return 0, errTooLong
		}
	}
	if fraction != "" {
		ns, _ = strconv.ParseInt((fraction + "000000000")[:9], 10, 64) // digits, checked above
	}
	d := time.Duration(math.MaxInt64)
	if sec < math.MaxInt64/int64(time.Second) {
		d = time.Duration(sec)*time.Second + time.Duration(ns)
	}
	if negative {
		d = -d
	}
	return d, nil
}

func digits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

// statusCode is a status code by number or by name, in letters of either case
// (gRFC A6).
type statusCode codes.Code

// UnmarshalJSON implements json.Unmarshaler.
func (c *statusCode) UnmarshalJSON(b []byte) error {
	const last = codes.Unauthenticated
	if n, err := strconv.ParseUint(string(b), 10, 32); err == nil && n <= uint64(last) {
		*c = statusCode(n)
		return nil
	}
	var name string
	if json.Unmarshal(b, &name) == nil {
		if n, ok := codeNames[strings.ToUpper(name)]; ok {
			*c = statusCode(n)
			return nil
		}
	}
	return fmt.Errorf("%s is not a gRPC status code", clip(b))
}

var codeNames = map[string]codes.Code{
	"OK": codes.OK, "CANCELLED": codes.Canceled, "UNKNOWN": codes.Unknown,
	"INVALID_ARGUMENT": codes.InvalidArgument, "DEADLINE_EXCEEDED": codes.DeadlineExceeded,
	"NOT_FOUND": codes.NotFound, "ALREADY_EXISTS": codes.AlreadyExists,
	"PERMISSION_DENIED": codes.PermissionDenied, "RESOURCE_EXHAUSTED": codes.ResourceExhausted,
	"FAILED_PRECONDITION": codes.FailedPrecondition, "ABORTED": codes.Aborted,
	"OUT_OF_RANGE": codes.OutOfRange, "UNIMPLEMENTED": codes.Unimplemented,
	"INTERNAL": codes.Internal, "UNAVAILABLE": codes.Unavailable, "DATA_LOSS": codes.DataLoss,
	"UNAUTHENTICATED": codes.Unauthenticated,
}

// size is a number of octets. Protobuf's JSON may write it as a string; what is
// more than a message can have is no limit.
type size int

// UnmarshalJSON implements json.Unmarshaler.
func (s *size) UnmarshalJSON(b []byte) error {
	n, err := integer(b)
	if err != nil || n < 0 {
		return fmt.Errorf("%s is not a size in octets", clip(b))
	}
	*s = size(min(n, math.MaxInt32))
	return nil
}
