package testpeer

import (
	"encoding/binary"
	"slices"
	"strconv"

	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc/codes"
)

// Fields is a header list in the order it is written. Its methods return a
// changed copy.
type Fields []hpack.HeaderField

// Request is the header list of a well-formed gRPC request.
func Request(path string) Fields {
	return Fields{
		{Name: ":method", Value: "POST"},
		{Name: ":scheme", Value: "http"},
		{Name: ":path", Value: path},
		{Name: ":authority", Value: "testpeer"},
		{Name: "content-type", Value: "application/grpc"},
		{Name: "te", Value: "trailers"},
	}
}

// Response is the header list that opens a well-formed gRPC response.
func Response() Fields {
	return Fields{
		{Name: ":status", Value: "200"},
		{Name: "content-type", Value: "application/grpc"},
	}
}

// Status is the header list of gRPC trailers.
func Status(c codes.Code, msg string) Fields {
	f := Fields{{Name: "grpc-status", Value: strconv.Itoa(int(c))}}
	if msg != "" {
		f = f.With("grpc-message", msg)
	}
	return f
}

// With appends a field.
func (f Fields) With(name, value string) Fields {
	return append(slices.Clone(f), hpack.HeaderField{Name: name, Value: value})
}

// First puts a field before all others.
func (f Fields) First(name, value string) Fields {
	return append(Fields{{Name: name, Value: value}}, f...)
}

// Without drops every field of that name.
func (f Fields) Without(name string) Fields {
	return slices.DeleteFunc(slices.Clone(f), func(h hpack.HeaderField) bool { return h.Name == name })
}

// Set replaces the value of the first field of that name, or appends one.
func (f Fields) Set(name, value string) Fields {
	c := slices.Clone(f)
	for i := range c {
		if c[i].Name == name {
			c[i].Value = value
			return c
		}
	}
	return append(c, hpack.HeaderField{Name: name, Value: value})
}

// Get is the first value of that name, or "".
func (f Fields) Get(name string) string {
	for _, h := range f {
		if h.Name == name {
			return h.Value
		}
	}
	return ""
}

// Has says whether a field of that name is there.
func (f Fields) Has(name string) bool {
	return slices.ContainsFunc(f, func(h hpack.HeaderField) bool { return h.Name == name })
}

// prefixLen is the length of what stands before each gRPC message: one flag
// byte and the length.
const prefixLen = 5

// Message is one uncompressed gRPC message with its prefix.
func Message(payload []byte) []byte {
	return append(Prefix(0, uint32(len(payload))), payload...)
}

// Prefix is the five bytes before a gRPC message: the flag byte and the length
// it claims.
func Prefix(flag byte, length uint32) []byte {
	return binary.BigEndian.AppendUint32([]byte{flag}, length)
}
