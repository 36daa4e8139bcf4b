package codec

import (
	"io"

	"google.golang.org/grpc/encoding"

	"github.com/callboard-rpc/callboard/codec/buffer"
)

// sizedCodec knows how long a message will be before it serializes it.
type sizedCodec interface {
	Codec
	marshalWithin(v any, limit int) (*buffer.Buffer, error)
}

// Encode makes the wire octets of v, prefix included, compressed if comp is
// not nil. The caller owns the buffer. A nil v is an empty message, and empty
// messages are not compressed.
//
// maxSend limits what is transferred: the message after compression (grpc-go's
// meaning of its send limit). Before compression only the format's own limit
// of 4 GiB holds. Errors are status errors: ResourceExhausted for a limit,
// Internal for a codec or compressor that refuses.
func Encode(c Codec, comp encoding.Compressor, v any, maxSend int) (*buffer.Buffer, Sizes, error) {
	limit := maxLength
	if comp == nil {
		limit = min(limit, maxSend)
	}
	buf, err := marshal(c, v, limit)
	if err != nil {
		return nil, Sizes{}, sendFailed("marshal", err)
	}
	n := len(buf.B) - PrefixLen
	if n > limit {
		buf.Release()
		return nil, Sizes{}, sendFailed("marshal", &oversize{what: "message", size: n, limit: limit})
	}
	if comp == nil || n == 0 {
		putPrefix(buf.B, false)
		return buf, Sizes{Uncompressed: n, Wire: n}, nil
	}
	small, err := deflate(comp, buf.B[PrefixLen:], min(maxLength, maxSend))
	buf.Release()
	if err != nil {
		return nil, Sizes{}, sendFailed("compress", err)
	}
	putPrefix(small.B, true)
	return small, Sizes{Uncompressed: n, Wire: len(small.B) - PrefixLen}, nil
}

func marshal(c Codec, v any, limit int) (*buffer.Buffer, error) {
	if v == nil {
		return buffer.Get(PrefixLen), nil
	}
	if s, ok := c.(sizedCodec); ok {
		return s.marshalWithin(v, limit)
	}
	return c.Marshal(v)
}

// deflate compresses p behind room for a prefix.
func deflate(comp encoding.Compressor, p []byte, limit int) (*buffer.Buffer, error) {
	s := sink{limit: limit}
	s.buf = buffer.Get(PrefixLen + max(0, min(len(p), limit)))
	s.buf.B = s.buf.B[:PrefixLen]
	err := s.compress(comp, p)
	if err == nil && s.size > limit {
		err = &oversize{what: "compressed message", size: s.size, limit: limit}
	}
	if err != nil {
		s.buf.Release()
		return nil, err
	}
	return s.buf, nil
}

// sink gathers a compressor's output. Past the limit it only counts.
type sink struct {
	buf   *buffer.Buffer
	size  int
	limit int
}

var _ io.Writer = (*sink)(nil)

func (s *sink) compress(comp encoding.Compressor, p []byte) error {
	w, err := comp.Compress(s)
	if err != nil {
		return err
	}
	_, err = w.Write(p)
	// Closed in any case: compressors recycle themselves there.
	if cerr := w.Close(); err == nil {
		err = cerr
	}
	return err
}

func (s *sink) Write(p []byte) (int, error) {
	s.size += len(p)
	if s.size > s.limit {
		return len(p), nil
	}
	n := len(s.buf.B)
	need := n + len(p)
	if need > cap(s.buf.B) {
		s.buf = move(s.buf, max(need, min(2*n, PrefixLen+s.limit)))
	}
	s.buf.B = s.buf.B[:need]
	copy(s.buf.B[n:], p)
	return len(p), nil
}

// move takes b over and returns a buffer with its contents and room for size
// octets.
func move(b *buffer.Buffer, size int) *buffer.Buffer {
	bigger := buffer.Get(size)
	bigger.B = bigger.B[:copy(bigger.B, b.B)]
	b.Release()
	return bigger
}
