package header

import (
	"encoding/base64"
	"errors"
	"strings"
)

// ErrBase64 is the error of DecodeBin.
var ErrBase64 = errors.New("not base64")

// EncodeBin writes one value of a "-bin" field: base64 without padding.
func EncodeBin[T ~string | ~[]byte](v T) string {
	if len(v) == 0 {
		return ""
	}
	return base64.RawStdEncoding.EncodeToString([]byte(v))
}

// DecodeBin reads one value of a "-bin" field, padded or not. Comma lists are
// the caller's to split.
func DecodeBin(v string) (string, error) {
	v, ok := trimBin(v)
	if !ok {
		return "", ErrBase64
	}
	if v == "" {
		return "", nil
	}
	var room [192]byte
	b, err := base64.RawStdEncoding.AppendDecode(room[:0], []byte(v))
	if err != nil {
		return "", ErrBase64
	}
	return string(b), nil
}

// validBin reports whether every value in a comma list can be decoded,
// without decoding it.
func validBin(list string) bool {
	for {
		v, rest, more := strings.Cut(list, ",")
		if _, ok := trimBin(v); !ok {
			return false
		}
		if !more {
			return true
		}
		list = rest
	}
}

// trimBin takes white space and padding off one base64 value and reports
// whether what is left is base64.
func trimBin(v string) (string, bool) {
	v = strings.Trim(v, " \t")
	if n := len(v); n%4 == 0 && n > 0 && v[n-1] == '=' {
		v = v[:n-1]
		if v[n-2] == '=' {
			v = v[:n-2]
		}
	}
	for i := range len(v) {
		if !base64Octets[v[i]] {
			return "", false
		}
	}
	return v, len(v)%4 != 1
}

var base64Octets = func() (t [256]bool) {
	for _, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/") {
		t[c] = true
	}
	return t
}()
