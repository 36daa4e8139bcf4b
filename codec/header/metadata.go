package header

import (
	"fmt"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"

	"github.com/callboard-rpc/callboard/codec/frame"
)

// FieldsMetadata makes an application's metadata of a response's header or
// trailing fields. The protocol's own fields are left out, except content-type
// and grpc-status-details-bin, which grpc-go shows as well. Values of "-bin"
// names are split at commas and decoded; one that cannot be is an error, except
// of grpc-status-details-bin, which is passed over: the status counts without
// it. Without fields to show the metadata is nil.
func FieldsMetadata(fields []frame.Field) (metadata.MD, error) {
	var b mdBuilder
	for i := range fields {
		f := &fields[i]
		if isReserved(f.Name) && f.Name != nameContentType {
			continue
		}
		if f.Name == nameDetails && !validBin(f.Value) {
			continue
		}
		if err := b.addField(f, len(fields)-i); err != nil {
			return nil, err
		}
	}
	return b.md, nil
}

// mdBuilder puts metadata together. All single values share one backing
// array, each capped to itself, so that appending to one never reaches the
// next.
type mdBuilder struct {
	md   metadata.MD
	vals []string
}

// grow makes room for n pairs.
func (b *mdBuilder) grow(n int) {
	b.md = make(metadata.MD, n)
	b.vals = make([]string, 0, n)
}

func (b *mdBuilder) add(k, v string) {
	if b.md == nil {
		b.grow(1)
	}
	if have, ok := b.md[k]; ok {
		b.md[k] = append(have, v)
		return
	}
	if len(b.vals) == cap(b.vals) {
		b.vals = make([]string, 0, 4)
	}
	n := len(b.vals)
	b.vals = append(b.vals, v)
	b.md[k] = b.vals[n : n+1 : n+1]
}

// addField adds an inbound field; room is how many more may come.
func (b *mdBuilder) addField(f *frame.Field, room int) error {
	if b.md == nil {
		b.grow(room)
	}
	if !isBinary(f.Name) {
		b.add(f.Name, f.Value)
		return nil
	}
	for list := f.Value; ; {
		v, rest, more := strings.Cut(list, ",")
		raw, err := DecodeBin(v)
		if err != nil {
			return broken(codes.Internal, badBin(f))
		}
		b.add(f.Name, raw)
		if !more {
			return nil
		}
		list = rest
	}
}

func badBin(f *frame.Field) string {
	return "value " + Escape(f.Value) + " of " + Escape(f.Name) + " is not base64"
}

// Validate reports the first pair of an application's metadata that may not be
// sent: a name outside [0-9a-z_.-], or a value that is not printable ASCII
// under a name without "-bin". Pseudo-fields pass; they are not sent anyway.
func Validate(md metadata.MD) error {
	for k, vals := range md {
		if err := ValidatePair(k, vals...); err != nil {
			return err
		}
	}
	return nil
}

// ValidatePair is Validate for one key.
func ValidatePair(key string, vals ...string) error {
	if key == "" {
		return fmt.Errorf("metadata has an empty key")
	}
	if key[0] == ':' {
		return nil
	}
	for i := range len(key) {
		c := key[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '.' && c != '-' && c != '_' {
			return fmt.Errorf("metadata key %s has a character outside [0-9a-z_.-]", Escape(key))
		}
	}
	if isBinary(key) {
		return nil
	}
	for _, v := range vals {
		for i := range len(v) {
			if v[i] < ' ' || v[i] > '~' {
				return fmt.Errorf("metadata value of %s is not printable ASCII", Escape(key))
			}
		}
	}
	return nil
}
