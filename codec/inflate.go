package codec

import (
	"context"
	"errors"
	"io"
	"runtime"

	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/status"

	"github.com/callboard-rpc/callboard/codec/buffer"
)

// checkEvery is how many octets pass, in or out, between two looks at whether
// the RPC still lives.
const checkEvery = 64 << 10

// maxEmptyReads ends a decompressor that neither delivers nor fails.
const maxEmptyReads = 100

// gate limits how many messages are inflated at the same time. An inflation
// holds a place until its output is complete, so the memory of half-inflated
// messages is bounded too.
type gate chan struct{}

var inflations = make(gate, runtime.GOMAXPROCS(0))

// Inflations bounds how many messages are inflated at a time. The zero value
// bounds nothing.
type Inflations struct{ gate gate }

// SharedInflations has GOMAXPROCS places for the whole process.
func SharedInflations() Inflations { return Inflations{gate: inflations} }

// NewInflations has n places; a negative number, or 0, means any number.
func NewInflations(n int) Inflations {
	if n <= 0 {
		return Inflations{}
	}
	return Inflations{gate: make(gate, n)}
}

func (g gate) enter(ctx context.Context) error {
	if g == nil {
		return nil
	}
	select {
	case g <- struct{}{}:
		return nil
	default:
	}
	select { // Edge: the application's goroutine waits for its turn
	case g <- struct{}{}:
		return nil
	case <-ctx.Done():
		return status.FromContextError(ctx.Err()).Err()
	}
}

func (g gate) leave() {
	if g != nil {
		<-g
	}
}

// inflate decompresses payload to at most limit octets. The caller owns the
// buffer. Errors are status errors.
func (g gate) inflate(ctx context.Context, comp encoding.Compressor, payload []byte, limit int) (*buffer.Buffer, error) {
	if err := g.enter(ctx); err != nil {
		return nil, err
	}
	defer g.leave() // also when the decompressor panics

	src := &source{ctx: ctx, p: payload}
	// A pooled decompressor remembers its source; it must not hold on to the
	// payload with it.
	defer func() { src.p = nil }()

	r, err := comp.Decompress(src)
	if err != nil {
		return nil, inflateError(ctx, err)
	}
	if cl, ok := r.(io.Closer); ok {
		defer cl.Close()
	}
	buf, err := readWithin(ctx, r, limit, len(payload))
	if err != nil {
		return nil, inflateError(ctx, err)
	}
	return buf, nil
}

// inflateError prefers the RPC's end over whatever the decompressor made of
// it.
func inflateError(ctx context.Context, err error) error {
	if ended := ctx.Err(); ended != nil {
		return status.FromContextError(ended).Err()
	}
	return receiveFailed("decompress", err)
}

// readWithin reads r to its end, or until it exceeds limit. Its buffer starts
// in proportion to the payload and doubles with what has really come, so that
// a small payload claims little.
func readWithin(ctx context.Context, r io.Reader, limit, hint int) (*buffer.Buffer, error) {
	const least = 512
	buf := buffer.Get(min(max(least, min(4*hint, checkEvery), hint), limit))
	buf.B = buf.B[:0]
	fail := func(err error) (*buffer.Buffer, error) {
		buf.Release()
		return nil, err
	}
	checked, empty := 0, 0
	for {
		n := len(buf.B)
		room := min(cap(buf.B), limit) - n
		if room == 0 && n < limit {
			buf = move(buf, min(2*n, limit))
			continue
		}
		if n-checked >= checkEvery {
			if err := ctx.Err(); err != nil {
				return fail(err)
			}
			checked = n
		}
		if room == 0 {
			if err := expectEnd(r); err != nil {
				if errors.Is(err, errMore) {
					err = &oversize{what: "decompressed message", limit: limit}
				}
				return fail(err)
			}
			return buf, nil
		}
		m, err := r.Read(buf.B[n : n+min(room, checkEvery)])
		buf.B = buf.B[:n+m]
		switch {
		case err == io.EOF:
			return buf, nil
		case err != nil:
			return fail(err)
		case m > 0:
			empty = 0
		default:
			if empty++; empty == maxEmptyReads {
				return fail(io.ErrNoProgress)
			}
		}
	}
}

// errMore says that a reader went on behind its limit.
var errMore = errors.New("more data than the limit")

// expectEnd reports errMore when r has another octet.
func expectEnd(r io.Reader) error {
	var one [1]byte
	for range maxEmptyReads {
		n, err := r.Read(one[:])
		switch {
		case n > 0:
			return errMore
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
	}
	return io.ErrNoProgress
}

// source hands a payload to a decompressor and looks at the RPC while it goes
// by: a decompressor can swallow a lot of input without producing anything.
type source struct {
	ctx  context.Context
	p    []byte
	left int // octets until the next look
}

var _ io.ByteReader = (*source)(nil) // saves flate a buffered reader

func (s *source) Read(b []byte) (int, error) {
	if len(s.p) == 0 {
		return 0, io.EOF
	}
	if len(b) > checkEvery {
		b = b[:checkEvery]
	}
	if err := s.look(len(b)); err != nil {
		return 0, err
	}
	n := copy(b, s.p)
	s.p = s.p[n:]
	return n, nil
}

func (s *source) ReadByte() (byte, error) {
	if len(s.p) == 0 {
		return 0, io.EOF
	}
	if s.left--; s.left <= 0 {
		if err := s.look(0); err != nil {
			return 0, err
		}
	}
	c := s.p[0]
	s.p = s.p[1:]
	return c, nil
}

func (s *source) look(n int) error {
	if s.left -= n; s.left > 0 {
		return nil
	}
	s.left = checkEvery
	return s.ctx.Err()
}
