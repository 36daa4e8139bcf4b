package frame

import (
	"bytes"
	"encoding/binary"
	"io"

	"golang.org/x/net/http2/hpack"
)

// script is a Source that delivers the given pieces, one per Read, then err.
type script struct {
	pieces [][]byte
	err    error
	waits  int
}

func (s *script) WaitReadable() error { s.waits++; return nil }

func (s *script) Read(p []byte) (int, error) {
	if len(s.pieces) == 0 {
		if s.err == nil {
			return 0, io.EOF
		}
		return 0, s.err
	}
	n := copy(p, s.pieces[0])
	if s.pieces[0] = s.pieces[0][n:]; len(s.pieces[0]) == 0 {
		s.pieces = s.pieces[1:]
	}
	return n, nil
}

func pieces(p ...[]byte) *script { return &script{pieces: p} }

// raw is a frame with anything in it.
func raw(typ, flags byte, id StreamID, payload ...byte) []byte {
	return append(appendFrameHeader(nil, len(payload), typ, flags, id), payload...)
}

// message is a gRPC message with its prefix.
func message(compressed byte, payload []byte) []byte {
	p := binary.BigEndian.AppendUint32([]byte{compressed}, uint32(len(payload)))
	return append(p, payload...)
}

func be32(n uint32) []byte { return binary.BigEndian.AppendUint32(nil, n) }

func join(p ...[]byte) []byte { return bytes.Join(p, nil) }

// block encodes fields with a table of its own.
func block(fields ...Field) []byte {
	var b bytes.Buffer
	e := hpack.NewEncoder(&b)
	for _, f := range fields {
		_ = e.WriteField(f)
	}
	return b.Bytes()
}

func field(name, value string) Field { return Field{Name: name, Value: value} }

func repeat(n int, p []byte) []byte { return bytes.Repeat(p, n) }

// readAll reads until the Reader fails.
func readAll(r *Reader) ([]Frame, error) {
	var all []Frame
	for {
		b := NewBatch()
		err := r.ReadBatch(b)
		all = append(all, b.Frames...)
		b.Free()
		if err != nil {
			return all, err
		}
	}
}

// requestFields are what a unary request usually carries.
func requestFields(timeout string) []Field {
	fields := []Field{
		field(":method", "POST"), field(":scheme", "http"),
		field(":path", "/grpc.testing.BenchmarkService/UnaryCall"),
		field(":authority", "127.0.0.1:50051"),
	}
	if timeout != "" {
		fields = append(fields, field("grpc-timeout", timeout))
	}
	return append(fields, field("te", "trailers"),
		field("content-type", "application/grpc"), field("user-agent", "grpc-go-callboard/0.1"))
}

func responseFields() []Field {
	return []Field{field(":status", "200"), field("content-type", "application/grpc")}
}

func trailerFields() []Field {
	return []Field{field("grpc-status", "0"), field("grpc-message", "")}
}
