package header

import (
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc/metadata"

	"github.com/callboard-rpc/callboard/codec/frame"
)

// Request is the header block that begins a call.
type Request struct {
	Method           string // "/pkg.Service/Method"
	Authority        string
	Scheme           string // "http" (also when empty) or "https"
	ContentSubtype   string // the codec's name; empty: proto
	UserAgent        string
	Encoding         string // the compressor's name; empty: none
	AcceptEncoding   string // comma list of compressors we can read
	Timeout          time.Duration
	HasTimeout       bool
	PreviousAttempts int
	Metadata         metadata.MD
	Extra            []string // name, value, name, value: what per-RPC credentials add
	StatsTags        []byte   // grpc-tags-bin, when not nil
	StatsTrace       []byte   // grpc-trace-bin, when not nil
}

var _ frame.FieldSource = (*Request)(nil)

// AppendFields lists the fields in the protocol's order: pseudo-fields, the
// timeout, the call's definition, the application's metadata. Values of "-bin"
// names are encoded; names that belong to the protocol are left out of Extra
// and Metadata.
func (r *Request) AppendFields(dst []frame.Field) []frame.Field {
	scheme := r.Scheme
	if scheme == "" {
		scheme = "http"
	}
	dst = append(dst,
		frame.Field{Name: nameMethod, Value: methodPost},
		frame.Field{Name: nameScheme, Value: scheme},
		frame.Field{Name: namePath, Value: r.Method},
		frame.Field{Name: nameAuthority, Value: r.Authority},
	)
	if r.HasTimeout {
		dst = append(dst, frame.Field{Name: nameTimeout, Value: EncodeTimeout(r.Timeout)})
	}
	dst = append(dst,
		frame.Field{Name: nameTE, Value: valueTrailers},
		frame.Field{Name: nameContentType, Value: ContentType(r.ContentSubtype)},
	)
	dst = appendIfSet(dst, nameEncoding, r.Encoding)
	dst = appendIfSet(dst, nameAcceptEncoding, r.AcceptEncoding)
	dst = appendIfSet(dst, nameUserAgent, r.UserAgent)
	if r.PreviousAttempts > 0 {
		dst = append(dst, frame.Field{Name: namePreviousAttempts, Value: strconv.Itoa(r.PreviousAttempts)})
	}
	if r.StatsTags != nil {
		dst = append(dst, frame.Field{Name: nameTags, Value: EncodeBin(r.StatsTags)})
	}
	if r.StatsTrace != nil {
		dst = append(dst, frame.Field{Name: nameTrace, Value: EncodeBin(r.StatsTrace)})
	}
	for i := 0; i+1 < len(r.Extra); i += 2 {
		dst = appendUser(dst, r.Extra[i], r.Extra[i+1])
	}
	return appendMetadata(dst, r.Metadata, "")
}

func appendIfSet(dst []frame.Field, name, value string) []frame.Field {
	if value == "" {
		return dst
	}
	return append(dst, frame.Field{Name: name, Value: value})
}

// appendMetadata adds an application's metadata, except for the key omit.
func appendMetadata(dst []frame.Field, md metadata.MD, omit string) []frame.Field {
	for k, vals := range md {
		if omit != "" && k == omit {
			continue
		}
		for _, v := range vals {
			dst = appendUser(dst, k, v)
		}
	}
	return dst
}

// appendUser adds one pair of an application. White space at the ends of a
// value goes: HTTP/2 forbids it there (RFC 9113 8.2.1), gRPC lets us strip it.
func appendUser(dst []frame.Field, name, value string) []frame.Field {
	name = strings.ToLower(name)
	switch {
	case isUnsendable(name):
		return dst
	case isBinary(name):
		value = EncodeBin(value)
	default:
		value = strings.Trim(value, " \t")
	}
	return append(dst, frame.Field{Name: name, Value: value})
}
