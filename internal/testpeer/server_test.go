package testpeer_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/http2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/protobuf/proto"

	"github.com/callboard-rpc/callboard/internal/testpeer"
)

const unaryPath = "/grpc.testing.TestService/UnaryCall"

func marshal(t *testing.T, m proto.Message) []byte {
	t.Helper()
	b, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func simple(t *testing.T, body string) []byte {
	t.Helper()
	return marshal(t, &pb.SimpleRequest{Payload: &pb.Payload{Body: []byte(body)}})
}

func TestWellFormedUnaryCall(t *testing.T) {
	p := testpeer.Dial(t, grpcServer(t))
	p.Handshake()
	p.Headers(1, testpeer.Request(unaryPath)...)
	p.DataEnd(1, testpeer.Message(simple(t, "hello")))
	a := p.ExpectTrailers(1, codes.OK)
	var got pb.SimpleResponse
	if len(a.Messages) != 1 {
		t.Fatalf("got %d messages, want 1", len(a.Messages))
	}
	if err := proto.Unmarshal(a.Messages[0], &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff("hello", string(got.GetPayload().GetBody())); diff != "" {
		t.Error(diff)
	}
	if a.Headers.Get(":status") != "200" {
		t.Errorf("headers: %v", a.Headers)
	}
	p.ExpectAlive()
}

func TestMessageInManyFrames(t *testing.T) {
	p := testpeer.Dial(t, grpcServer(t))
	p.Handshake()
	p.Headers(1, testpeer.Request(unaryPath)...)
	for _, b := range testpeer.Message(simple(t, "split")) {
		p.DataPadded(1, []byte{b}, 3, false)
	}
	p.DataEnd(1, nil)
	p.ExpectTrailers(1, codes.OK)
}

func TestAnswersThatNeedNoHandler(t *testing.T) {
	for name, c := range map[string]struct {
		fields testpeer.Fields
		want   codes.Code
	}{
		"unknown method":  {testpeer.Request("/grpc.testing.TestService/Nope"), codes.Unimplemented},
		"unknown service": {testpeer.Request("/no.Such/Service"), codes.Unimplemented},
		"bad timeout":     {testpeer.Request(unaryPath).With("grpc-timeout", "soon"), codes.Internal},
	} {
		t.Run(name, func(t *testing.T) {
			p := testpeer.Dial(t, grpcServer(t))
			p.Handshake()
			p.HeadersEnd(1, c.fields...)
			p.ExpectTrailers(1, c.want)
		})
	}
}

func TestStreamViolations(t *testing.T) {
	for name, send := range map[string]func(p *testpeer.Peer){
		"window overflow": func(p *testpeer.Peer) {
			p.Headers(1, testpeer.Request(unaryPath)...)
			p.WindowUpdate(1, 0)
		},
		"more than the window": func(p *testpeer.Peer) {
			p.Headers(1, testpeer.Request(unaryPath)...)
			p.Raw(testpeer.Prefix(0, 1<<20))
			for range 10 {
				p.Data(1, make([]byte, 16384))
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := testpeer.Dial(t, grpcServer(t, grpc.StaticStreamWindowSize(65535)))
			p.Handshake()
			send(p)
			p.ExpectClosedOrReset(1)
		})
	}
}

func TestConnectionViolations(t *testing.T) {
	for name, send := range map[string]func(p *testpeer.Peer){
		"huffman garbage":    func(p *testpeer.Peer) { p.Block(1, testpeer.HuffmanGarbage(), true) },
		"unknown index":      func(p *testpeer.Peer) { p.Block(1, testpeer.UnknownIndex(), true) },
		"table too large":    func(p *testpeer.Peer) { p.Block(1, testpeer.TableTooLarge(), true) },
		"truncated field":    func(p *testpeer.Peer) { p.Block(1, testpeer.TruncatedField(), true) },
		"endless integer":    func(p *testpeer.Peer) { p.Block(1, testpeer.EndlessInteger(), true) },
		"even stream id":     func(p *testpeer.Peer) { p.Headers(2, testpeer.Request(unaryPath)...) },
		"data on stream 0":   func(p *testpeer.Peer) { p.Data(0, []byte("x")) },
		"ping of 7 bytes":    func(p *testpeer.Peer) { p.Frame(http2.FramePing, 0, 0, make([]byte, 7)) },
		"settings of 5":      func(p *testpeer.Peer) { p.Frame(http2.FrameSettings, 0, 0, make([]byte, 5)) },
		"header of 16 MB":    func(p *testpeer.Peer) { p.Raw(testpeer.FrameHeader(1<<24-1, http2.FrameData, 0, 1)) },
		"stray continuation": func(p *testpeer.Peer) { p.Continuation(1, []byte{0x82}, true) },
		"data in a block": func(p *testpeer.Peer) {
			p.OpenHeaders(1, testpeer.Literal(testpeer.Request(unaryPath)...), false)
			p.Data(1, []byte("x"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := testpeer.Dial(t, grpcServer(t))
			p.Handshake()
			send(p)
			p.ExpectClosed(5 * time.Second)
		})
	}
}

func TestFloods(t *testing.T) {
	t.Run("ping", func(t *testing.T) {
		p := testpeer.Dial(t, grpcServer(t))
		p.Handshake()
		p.Flood(1000, func(i int) { p.Ping(uint64(i)) })
		p.ExpectGoAway(http2.ErrCodeEnhanceYourCalm)
		p.ExpectClosed(5 * time.Second)
	})
	t.Run("continuation", func(t *testing.T) {
		p := testpeer.Dial(t, grpcServer(t, grpc.MaxHeaderListSize(16<<10)))
		p.Handshake()
		p.OpenHeaders(1, testpeer.Literal(testpeer.Request(unaryPath)...), true)
		piece := testpeer.Literal(testpeer.Fields{}.With("x-flood", string(make([]byte, 1000)))...)
		p.Flood(100_000, func(int) { p.Continuation(1, piece, false) })
		p.ExpectClosed(5 * time.Second)
	})
	t.Run("rapid reset", func(t *testing.T) {
		p := testpeer.Dial(t, grpcServer(t))
		p.Handshake()
		p.Flood(500, func(i int) {
			id := uint32(2*i + 1)
			p.Headers(id, testpeer.Request(unaryPath)...)
			p.RST(id, http2.ErrCodeCancel)
		})
		p.ExpectAlive()
	})
	t.Run("header bomb", func(t *testing.T) {
		p := testpeer.Dial(t, grpcServer(t, grpc.MaxHeaderListSize(16<<10)))
		p.Handshake()
		block := append(testpeer.Literal(testpeer.Request(unaryPath)...), testpeer.HeaderBomb(3000, 5000)...)
		p.Block(1, block, true)
		p.ExpectClosedOrReset(1)
	})
}

func TestPeerThatDoesNotRead(t *testing.T) {
	p := testpeer.Dial(t, grpcServer(t), testpeer.Deaf())
	p.Preface()
	p.Settings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1<<31 - 1})
	p.WindowUpdate(0, 1<<31-1-65535)
	const path = "/grpc.testing.TestService/StreamingOutputCall"
	q := &pb.StreamingOutputCallRequest{}
	for range 64 {
		q.ResponseParameters = append(q.ResponseParameters, &pb.ResponseParameters{Size: 1 << 20})
	}
	p.Headers(1, testpeer.Request(path)...)
	p.DataEnd(1, testpeer.Message(marshal(t, q)))
	p.ExpectNothing(1, 100*time.Millisecond)
	p.StartReading()
	if got := len(p.ExpectMessage(1)); got < 1<<20 {
		t.Errorf("first message has %d bytes", got)
	}
	p.StopReading()
	p.StartReading()
	if a := p.ExpectTrailers(1, codes.OK); len(a.Messages) != 63 {
		t.Errorf("got %d messages, want the other 63", len(a.Messages))
	}
}

func TestManyStreamsKeepTheirFrames(t *testing.T) {
	p := testpeer.Dial(t, grpcServer(t))
	p.Handshake()
	p.Batch(func() {
		for id := uint32(1); id < 21; id += 2 {
			p.Headers(id, testpeer.Request(unaryPath)...)
			p.DataEnd(id, testpeer.Message(simple(t, fmt.Sprint(id))))
		}
	})
	for id := uint32(19); id >= 3; id -= 2 {
		p.ExpectTrailers(id, codes.OK)
	}
	p.ExpectTrailers(1, codes.OK)
}
