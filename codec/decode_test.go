package codec

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"math"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

func gzipped(t testing.TB, p []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(p); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestDecodeFailures(t *testing.T) {
	gz := encoding.GetCompressor("gzip")
	good := gzipped(t, []byte("hello"))
	for name, c := range map[string]struct {
		c          Codec
		comp       encoding.Compressor
		compressed bool
		payload    []byte
		code       codes.Code
	}{
		"bad proto":               {protoCodec{}, nil, false, []byte("\xff\xff"), codes.Internal},
		"too large":               {WrapV1(keeper{}), nil, false, make([]byte, 101), codes.ResourceExhausted},
		"too large, compressed":   {WrapV1(keeper{}), gz, true, make([]byte, 101), codes.ResourceExhausted},
		"flag without encoding":   {WrapV1(keeper{}), nil, true, good, codes.Internal},
		"garbage":                 {WrapV1(keeper{}), gz, true, []byte("garbage"), codes.Internal},
		"nothing":                 {WrapV1(keeper{}), gz, true, nil, codes.Internal},
		"cut short":               {WrapV1(keeper{}), gz, true, good[:len(good)-3], codes.Internal},
		"wrong checksum":          {WrapV1(keeper{}), gz, true, append(good[:len(good)-8:len(good)-8], make([]byte, 8)...), codes.Internal},
		"junk behind":             {WrapV1(keeper{}), gz, true, append(good[:len(good):len(good)], "junk"...), codes.Internal},
		"too large when inflated": {WrapV1(keeper{}), gz, true, gzipped(t, make([]byte, 101)), codes.ResourceExhausted},
		"far too large":           {WrapV1(keeper{}), gz, true, gzipped(t, make([]byte, 5000)), codes.ResourceExhausted},
		"refused":                 {WrapV1(keeper{}), stuffing{refuse: io.ErrUnexpectedEOF}, true, good, codes.Internal},
		"broken at the end":       {WrapV1(keeper{}), stuffing{octets: 3, fail: io.ErrUnexpectedEOF}, true, good, codes.Internal},
		"broken at the limit":     {WrapV1(keeper{}), stuffing{octets: 100, fail: io.ErrUnexpectedEOF}, true, good, codes.Internal},
		"never delivers":          {WrapV1(keeper{}), stuffing{idle: true}, true, good, codes.Internal},
	} {
		var v any = new([]byte)
		if c.c == (protoCodec{}) {
			v = new(wrapperspb.StringValue)
		}
		_, err := Decode(context.Background(), c.c, c.comp, c.compressed, c.payload, v, 100)
		if status.Code(err) != c.code {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := len(inflations); n != 0 {
		t.Errorf("%d inflations are still counted", n)
	}
}

func TestUncompressedMessagesPassOnACompressedStream(t *testing.T) {
	var got []byte
	sizes, err := Decode(context.Background(), WrapV1(keeper{}), encoding.GetCompressor("gzip"), false, []byte("plain"), &got, 100)
	if err != nil || string(got) != "plain" || sizes != (Sizes{5, 5}) {
		t.Errorf("%q %+v %v", got, sizes, err)
	}
}

func TestExactlyTheLimitPasses(t *testing.T) {
	for _, n := range []int{0, 1, 64, 65, 100, 511, 512, 513, checkEvery - 1, checkEvery, checkEvery + 1, 3*checkEvery + 7, 1 << 20} {
		for _, limit := range []int{n, n + 1, math.MaxInt} {
			var got []byte
			sizes, err := Decode(context.Background(), WrapV1(keeper{}), stuffing{octets: n}, true, nil, &got, limit)
			if err != nil || len(got) != n || sizes.Uncompressed != n {
				t.Errorf("%d of %d: %d octets, %+v, %v", n, limit, len(got), sizes, err)
			}
		}
		if n == 0 {
			continue
		}
		_, err := Decode(context.Background(), WrapV1(keeper{}), stuffing{octets: n}, true, nil, new([]byte), n-1)
		if status.Code(err) != codes.ResourceExhausted {
			t.Errorf("%d of %d: %v", n, n-1, err)
		}
	}
}

func TestABombIsNotInflatedPastTheLimit(t *testing.T) {
	const limit = 1 << 20
	read, closed := 0, 0
	bomb := stuffing{octets: math.MaxInt, mu: new(sync.Mutex), read: &read, closed: &closed}
	_, err := Decode(context.Background(), WrapV1(keeper{}), bomb, true, []byte("x"), new([]byte), limit)
	if status.Code(err) != codes.ResourceExhausted || read != limit+1 || closed != 1 {
		t.Errorf("%v after %d octets, closed %d times", err, read, closed)
	}
	var before, after runtime.MemStats
	zipped := gzipped(t, make([]byte, 16<<20))
	runtime.ReadMemStats(&before)
	_, err = Decode(context.Background(), WrapV1(keeper{}), encoding.GetCompressor("gzip"), true, zipped, new([]byte), limit)
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; status.Code(err) != codes.ResourceExhausted || grown > 4*limit {
		t.Errorf("%v after allocating %d octets", err, grown)
	}
}

// fading is a context that ends after some looks at it.
type fading struct {
	context.Context
	looks atomic.Int32
}

func (f *fading) Err() error {
	if f.looks.Add(-1) < 0 {
		return context.Canceled
	}
	return nil
}

func TestInflationEndsWithItsRPC(t *testing.T) {
	const looks = 5
	read, closed := 0, 0
	ctx := &fading{Context: context.Background()}
	ctx.looks.Store(looks)
	slow := stuffing{octets: math.MaxInt, mu: new(sync.Mutex), read: &read, closed: &closed}
	_, err := Decode(ctx, WrapV1(keeper{}), slow, true, []byte("x"), new([]byte), math.MaxInt)
	if status.Code(err) != codes.Canceled || read > (looks+2)*checkEvery || closed != 1 {
		t.Errorf("%v after %d octets, closed %d times", err, read, closed)
	}
	// The same for a decompressor that only swallows.
	ctx.looks.Store(looks)
	_, err = Decode(ctx, WrapV1(keeper{}), stuffing{consumes: true}, true, make([]byte, 64*checkEvery), new([]byte), math.MaxInt)
	if status.Code(err) != codes.Canceled {
		t.Errorf("swallowing: %v", err)
	}
	// Empty gzip members yield nothing at all.
	ctx.looks.Store(1)
	nothing := bytes.Repeat(gzipped(t, nil), 10_000)
	_, err = Decode(ctx, WrapV1(keeper{}), encoding.GetCompressor("gzip"), true, nothing, new([]byte), math.MaxInt)
	if status.Code(err) != codes.Canceled {
		t.Errorf("empty members: %v", err)
	}
}

func TestNoMoreInflationsThanProcessors(t *testing.T) {
	var now, most atomic.Int32
	comp := stuffing{octets: 1 << 18, entered: func() {
		n := now.Add(1)
		for m := most.Load(); n > m; m = most.Load() {
			most.CompareAndSwap(m, n)
		}
		runtime.Gosched()
		now.Add(-1)
	}}
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			for range 20 {
				if _, err := Decode(context.Background(), WrapV1(keeper{}), comp, true, nil, new([]byte), 1<<20); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if got := int(most.Load()); got > cap(inflations) || got == 0 {
		t.Errorf("%d at a time, with %d places", got, cap(inflations))
	}
}

func TestWaitingForAPlaceEndsWithTheRPC(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := make(gate, 1)
		if err := g.enter(t.Context()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begin := time.Now()
		if err := g.enter(ctx); status.Code(err) != codes.DeadlineExceeded || time.Since(begin) != time.Second {
			t.Errorf("%v after %v", err, time.Since(begin))
		}
		entered := make(chan error)
		go func() { entered <- g.enter(t.Context()) }()
		synctest.Wait()
		g.leave()
		if err := <-entered; err != nil {
			t.Error(err)
		}
		g.leave()
	})
}

func TestAPanickingDecompressorLeavesItsPlace(t *testing.T) {
	func() {
		defer func() { _ = recover() }()
		_, _ = Decode(context.Background(), WrapV1(keeper{}), stuffing{entered: func() { panic("bug") }}, true, nil, nil, 1)
	}()
	if n := len(inflations); n != 0 {
		t.Errorf("%d places are lost", n)
	}
}

func TestDecodeFailuresKeepTheirCause(t *testing.T) {
	_, err := Decode(context.Background(), WrapV1(keeper{}), stuffing{refuse: io.ErrUnexpectedEOF}, true, nil, nil, 1)
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("%v", err)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte("\x0a\x02hi"), false, 100)
	f.Add([]byte("\xff"), false, 100)
	f.Add(gzipped(f, []byte("\x0a\x02hi")), true, 100)
	f.Add(gzipped(f, make([]byte, 10_000)), true, 5000)
	f.Add(gzipped(f, nil), true, 0)
	f.Add([]byte("\x1f\x8b\x08\x00"), true, -1)
	gz := encoding.GetCompressor("gzip")
	f.Fuzz(func(t *testing.T, payload []byte, compressed bool, limit int) {
		limit = min(limit, 1<<20)
		m := new(wrapperspb.BytesValue)
		sizes, err := Decode(context.Background(), protoCodec{}, gz, compressed, payload, m, limit)
		switch status.Code(err) {
		case codes.OK:
			if sizes.Uncompressed > limit || len(m.Value) > sizes.Uncompressed || sizes.Wire != len(payload) {
				t.Fatalf("%+v within %d, %d octets", sizes, limit, len(m.Value))
			}
		case codes.Internal, codes.ResourceExhausted:
		default:
			t.Fatal(err)
		}
		if len(inflations) != 0 {
			t.Fatal("a place is lost")
		}
	})
}
