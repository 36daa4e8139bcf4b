package codec

import (
	"errors"
	"io"
	"strings"
	"sync"

	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
)

// keeper is a pass-through codec of the first kind that keeps what it is
// given, as proxies' codecs do.
type keeper struct{}

func (keeper) Name() string { return "keeper" }
func (keeper) Marshal(v any) ([]byte, error) {
	if v == any("refuse") {
		return nil, errors.New("refused")
	}
	return v.([]byte), nil
}

func (keeper) Unmarshal(b []byte, v any) error {
	*v.(*[]byte) = b
	return nil
}

// counter is a codec of the second kind that takes references.
type counter struct{ live *int }

func (counter) Name() string { return "counter" }

func (c counter) Marshal(v any) (mem.BufferSlice, error) {
	var out mem.BufferSlice
	for part := range strings.SplitSeq(v.(string), "|") {
		*c.live++
		b := make([]byte, 2048) // long enough to be counted
		b = b[:copy(b, part)]
		out = append(out, mem.NewBuffer(&b, pool(c)))
	}
	return out, nil
}

func (counter) Unmarshal(b mem.BufferSlice, v any) error {
	b.Ref()
	*v.(*mem.BufferSlice) = b
	return nil
}

type pool struct{ live *int }

func (pool) Get(n int) *[]byte { b := make([]byte, n); return &b }
func (p pool) Put(*[]byte)     { *p.live-- }

// stuffing decompresses to as many octets as it is told, whatever it is given,
// and compresses to a multiple of what it is given.
type stuffing struct {
	octets   int
	times    int
	fail     error       // at the end, instead of io.EOF
	entered  func()      // when an inflation has begun
	mu       *sync.Mutex // guards read and closed
	read     *int        // octets delivered
	closed   *int        // readers closed
	refuse   error       // Decompress and Compress
	idle     bool        // deliver nothing, for ever
	consumes bool        // read all input before delivering
}

func (stuffing) Name() string { return "stuffing" }

func (s stuffing) Compress(w io.Writer) (io.WriteCloser, error) {
	return stuffer{w, s.times}, s.refuse
}

type stuffer struct {
	w     io.Writer
	times int
}

func (s stuffer) Write(p []byte) (int, error) {
	for range s.times {
		if _, err := s.w.Write(p); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}
func (stuffer) Close() error { return nil }

func (s stuffing) Decompress(r io.Reader) (io.Reader, error) {
	if s.refuse != nil {
		return nil, s.refuse
	}
	if s.entered != nil {
		s.entered()
	}
	return &unstuffer{stuffing: s, src: r, left: s.octets}, nil
}

type unstuffer struct {
	stuffing
	src  io.Reader
	left int
}

func (u *unstuffer) Read(p []byte) (int, error) {
	if u.idle {
		return 0, nil
	}
	if u.consumes {
		if _, err := io.Copy(io.Discard, u.src); err != nil {
			return 0, err
		}
	}
	if u.left == 0 {
		if u.fail != nil {
			return 0, u.fail
		}
		return 0, io.EOF
	}
	n := min(len(p), u.left)
	u.left -= n
	if u.read != nil {
		u.mu.Lock()
		*u.read += n
		u.mu.Unlock()
	}
	return n, nil
}

func (u *unstuffer) Close() error {
	if u.closed != nil {
		u.mu.Lock()
		*u.closed++
		u.mu.Unlock()
	}
	return nil
}

var _ encoding.Compressor = stuffing{}
