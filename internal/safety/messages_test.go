package safety_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"google.golang.org/grpc/codes"
	_ "google.golang.org/grpc/encoding/gzip" // what bombs are made of

	"github.com/callboard-rpc/callboard"
	"github.com/callboard-rpc/callboard/internal/testpeer"
)

func label(format string, args ...any) string { return fmt.Sprintf(format, args...) }

func gzipped(t testing.TB, b []byte) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := gzip.NewWriter(&buf)
	if _, err := w.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// framed puts a prefix of the test's choice before a payload.
func framed(flag byte, b []byte) []byte { return append(testpeer.Prefix(flag, uint32(len(b))), b...) }

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// Bad messages are a matter of their RPC alone.
func TestBadMessages(t *testing.T) {
	good := payload(t, 10)
	for name, c := range map[string]struct {
		encoding string
		body     []byte
		path     string
		code     codes.Code
	}{
		"compressed without an encoding":   {"", framed(1, gzipped(t, encoded(t, 9))), echo, codes.Internal},
		"compressed with identity":         {"identity", framed(1, gzipped(t, encoded(t, 9))), echo, codes.Internal},
		"a flag of 2":                      {"", framed(2, encoded(t, 9)), echo, codes.Internal},
		"a flag of 255":                    {"", framed(255, encoded(t, 9)), echo, codes.Internal},
		"a flag of 3, streaming":           {"", framed(3, encoded(t, 9)), sink, codes.Internal},
		"a prefix cut off":                 {"", good[:3], echo, codes.Internal},
		"a prefix cut off, streaming":      {"", join(good, good[:3]), sink, codes.Internal},
		"a message cut off":                {"", good[:9], echo, codes.Internal},
		"a message cut off, streaming":     {"", join(good, good[:9]), sink, codes.Internal},
		"garbage instead of gzip":          {"gzip", framed(1, []byte("this is not gzip at all")), echo, codes.Internal},
		"gzip cut off":                     {"gzip", framed(1, gzipped(t, encoded(t, 5000))[:20]), echo, codes.Internal},
		"gzip with a wrong checksum":       {"gzip", framed(1, spoiled(gzipped(t, encoded(t, 5000)))), echo, codes.Internal},
		"an empty compressed message":      {"gzip", framed(1, nil), echo, codes.Internal},
		"garbage instead of protobuf":      {"", framed(0, []byte{0xff, 0xff, 0xff, 0xff}), echo, codes.Internal},
		"garbage in protobuf, streaming":   {"", framed(0, []byte{0x0a, 0x7f, 0x00}), sink, codes.Internal},
		"garbage in gzip":                  {"gzip", framed(1, gzipped(t, []byte{0xff, 0xff})), echo, codes.Internal},
		"no message in a unary call":       {"", nil, echo, codes.Unimplemented},
		"two messages in a unary call":     {"", join(good, good), echo, codes.Unimplemented},
		"not compressed, though announced": {"gzip", good, echo, codes.OK},
		"compressed and announced":         {"gzip", framed(1, gzipped(t, encoded(t, 5000))), echo, codes.OK},
		"an empty message":                 {"", framed(0, nil), echo, codes.OK},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t)
			p := testpeer.Dial(t, s.addr)
			p.Handshake()
			fields := testpeer.Request(c.path)
			if c.encoding != "" {
				fields = fields.With("grpc-encoding", c.encoding)
			}
			p.Headers(1, fields...)
			p.DataEnd(1, c.body)
			p.ExpectTrailers(1, c.code)
			alive(t, p, 3)
		})
	}
}

func spoiled(b []byte) []byte {
	b[len(b)-6] ^= 0xff
	return b
}

// A message's size is judged by its prefix: nothing of that size is allocated,
// and nothing of it has to arrive.
func TestMessageSizeIsJudgedBeforeItArrives(t *testing.T) {
	for name, c := range map[string]struct {
		opts []callboard.ServerOption
		size uint32
		code codes.Code
	}{
		"above 4 MiB":            {nil, 4<<20 + 1, codes.ResourceExhausted},
		"of 4 GiB":               {nil, 1<<32 - 1, codes.ResourceExhausted},
		"above a smaller limit":  {[]callboard.ServerOption{callboard.MaxRecvMsgSize(1000)}, 1001, codes.ResourceExhausted},
		"within a larger limit?": {[]callboard.ServerOption{callboard.MaxRecvMsgSize(8 << 20)}, 8<<20 + 1, codes.ResourceExhausted},
	} {
		for _, path := range []string{echo, sink} {
			t.Run(name+" "+path, func(t *testing.T) {
				s := serve(t, c.opts...)
				p := testpeer.Dial(t, s.addr)
				p.Handshake()
				before := allocated()
				p.Headers(1, testpeer.Request(path)...)
				p.Data(1, testpeer.Prefix(0, c.size))
				p.ExpectTrailers(1, c.code)
				if n := allocated() - before; n > 2<<20 {
					t.Errorf("%d octets were allocated for a message that was never sent", n)
				}
				alive(t, p, 3)
			})
		}
	}
	t.Run("exactly 4 MiB", func(t *testing.T) {
		s := serve(t, roomy)
		p := testpeer.Dial(t, s.addr)
		p.Handshake(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 8 << 20})
		p.WindowUpdate(0, 8<<20)
		p.Headers(1, testpeer.Request(echo)...)
		sendWithin(p, 1, payload(t, 4<<20-5), true)
		p.ExpectTrailers(1, codes.OK)
	})
}

// announced is what the server grants to the connection beside its SETTINGS.
const announced = 1<<20 - 65_535

func allocated() int64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.TotalAlloc)
}

// sendWithin sends DATA as the connection's window allows, to its last octet.
// It is for one sender that begins with a fresh connection.
func sendWithin(p *testpeer.Peer, id uint32, b []byte, end bool) {
	send(p, id, b, 0, end)
}

// sendFrom sends DATA with END_STREAM on a connection on which so many octets
// were sent before, and returns how many it are then.
func sendFrom(p *testpeer.Peer, id uint32, b []byte, before int) int {
	return send(p, id, b, before, true)
}

func send(p *testpeer.Peer, id uint32, b []byte, before int, end bool) int {
	const piece, window = 16 << 10, 1<<20 - announced
	for at := 0; at < len(b); {
		n := min(piece, len(b)-at, window+int(p.Credit(0))-before-at)
		if n == 0 {
			p.ExpectCredit(0, int64(before+at+1-window))
			continue
		}
		if at += n; end && at == len(b) {
			p.DataEnd(id, b[at-n:])
		} else {
			p.Data(id, b[at-n:at])
		}
	}
	return before + len(b)
}

func TestDecompressionBombs(t *testing.T) {
	bomb := framed(1, gzipped(t, encoded(t, 64<<20)))
	for name, path := range map[string]string{"unary": echo, "streaming": sink} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, roomy)
			p := testpeer.Dial(t, s.addr)
			p.Handshake()
			before := allocated()
			p.Headers(1, testpeer.Request(path).With("grpc-encoding", "gzip")...)
			sendPieces(p, 1, bomb, true)
			p.ExpectTrailers(1, codes.ResourceExhausted)
			if n := allocated() - before; n > 32<<20 {
				t.Errorf("%d octets were allocated for a bomb of 64 MiB, the limit is 4 MiB", n)
			}
			alive(t, p, 3)
		})
	}
}

func sendPieces(p *testpeer.Peer, id uint32, b []byte, end bool) {
	for len(b) > 0 {
		n := min(16<<10, len(b))
		if n == len(b) && end {
			p.DataEnd(id, b)
			return
		}
		p.Data(id, b[:n])
		b = b[n:]
	}
}

// Many bombs at the same time inflate no more than GOMAXPROCS messages at once.
func TestConcurrentBombs(t *testing.T) {
	s := serve(t)
	// Just within the limit: each is inflated to the end.
	bomb := framed(1, gzipped(t, encoded(t, 4<<20-64)))
	if len(bomb) > 16<<10 {
		t.Fatalf("the bomb has %d octets", len(bomb))
	}
	p := testpeer.Dial(t, s.addr)
	p.Handshake()
	const n = 60
	var peak atomic.Int64
	stop := make(chan struct{})
	watching := make(chan struct{})
	before := held()
	go func() {
		defer close(watching)
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				peak.Store(max(peak.Load(), int64(m.HeapAlloc)))
			}
		}
	}()
	for i := range n {
		p.Headers(odd(i), testpeer.Request(sink).With("grpc-encoding", "gzip")...)
		p.DataEnd(odd(i), bomb)
	}
	for i := range n {
		p.ExpectTrailers(odd(i), codes.OK)
	}
	close(stop)
	<-watching
	// All of them at once would be 240 MiB, twice that with what protobuf copies.
	if grown := peak.Load() - before; grown > 160<<20 {
		t.Errorf("the heap grew by %d octets", grown)
	}
}

// The RPC that is cancelled gives its place among the inflations up.
func TestCancelledBombsMakeRoom(t *testing.T) {
	s := serve(t, roomy, callboard.MaxRecvMsgSize(1<<30))
	bomb := framed(1, gzipped(t, encoded(t, 64<<20)))
	p := testpeer.Dial(t, s.addr)
	p.Handshake()
	for i := range 4 * runtime.GOMAXPROCS(0) {
		p.Headers(odd(i), testpeer.Request(sink).With("grpc-encoding", "gzip")...)
		sendPieces(p, odd(i), bomb[:min(len(bomb), 100<<10)], false)
		p.RST(odd(i), http2.ErrCodeCancel)
	}
	began := time.Now()
	id := uint32(1001)
	p.Headers(id, testpeer.Request(echo).With("grpc-encoding", "gzip")...)
	p.DataEnd(id, framed(1, gzipped(t, encoded(t, 100))))
	p.ExpectTrailers(id, codes.OK)
	if took := time.Since(began); took > soon {
		t.Errorf("waited %v for a place", took)
	}
}
