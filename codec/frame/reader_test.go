package frame

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/http2/hpack"
)

func TestEveryViolationHasItsCode(t *testing.T) {
	headers := func(flags byte, p ...byte) []byte { return raw(typeHeaders, flags, 1, p...) }
	open := headers(0, 0x82)
	get := block(field(":method", "GET"))
	// Compressed badly, 3500 octets are 12250: the list stays small, the block
	// does not.
	rare := strings.Repeat("\x02", 3500)
	wasteful := appendInt([]byte{0x00, 0x01, 'a'}, bitsString, int(hpack.HuffmanEncodeLength(rare)))
	wasteful[3] |= 0x80
	wasteful = hpack.AppendHuffmanString(wasteful, rare)
	tests := []struct {
		name   string
		in     []byte
		code   ErrCode
		clause string
	}{
		{"frame past MAX_FRAME_SIZE", raw(typeData, 0, 1, make([]byte, MinMaxFrameSize+1)...), FrameSizeError, "RFC 9113 4.2"},
		{"HTTP/1.1 answer", []byte("HTTP/1.1 400 Bad Request\r\n\r\n"), FrameSizeError, "RFC 9113 4.2"},

		{"DATA on stream 0", raw(typeData, 0, 0), ProtocolError, "RFC 9113 6.1"},
		{"padded DATA without the padding's length", raw(typeData, flagPadded, 1), FrameSizeError, "RFC 9113 6.1"},
		{"DATA all padding and one more", raw(typeData, flagPadded, 1, 3, 0, 0), ProtocolError, "RFC 9113 6.1"},

		{"HEADERS on stream 0", raw(typeHeaders, flagEndHeaders, 0, get...), ProtocolError, "RFC 9113 6.2"},
		{"padded HEADERS without the padding's length", headers(flagPadded | flagEndHeaders), FrameSizeError, "RFC 9113 6.2"},
		{"HEADERS too short for its priority", headers(flagPriority|flagEndHeaders, 0, 0, 0, 0), FrameSizeError, "RFC 9113 6.2"},
		{"HEADERS too short for padding and priority", headers(flagPadded|flagPriority|flagEndHeaders, 0, 0, 0, 0, 0), FrameSizeError, "RFC 9113 6.2"},
		{"HEADERS padded past its end", headers(flagPadded|flagEndHeaders, 2, 0x82), ProtocolError, "RFC 9113 6.2"},
		{"HEADERS padded into its priority", headers(flagPadded|flagPriority|flagEndHeaders, 1, 0, 0, 0, 0, 0), ProtocolError, "RFC 9113 6.2"},

		{"PRIORITY on stream 0", raw(typePriority, 0, 0, 0, 0, 0, 0, 0), ProtocolError, "RFC 9113 6.3"},
		{"RST_STREAM on stream 0", raw(typeRSTStream, 0, 0, 0, 0, 0, 0), ProtocolError, "RFC 9113 6.4"},
		{"short RST_STREAM", raw(typeRSTStream, 0, 1, 0, 0, 0), FrameSizeError, "RFC 9113 6.4"},
		{"long RST_STREAM", raw(typeRSTStream, 0, 1, 0, 0, 0, 0, 0), FrameSizeError, "RFC 9113 6.4"},

		{"SETTINGS on a stream", raw(typeSettings, 0, 1), ProtocolError, "RFC 9113 6.5"},
		{"SETTINGS ack with a payload", raw(typeSettings, flagAck, 0, 0, 0, 0, 0, 0, 0), FrameSizeError, "RFC 9113 6.5"},
		{"SETTINGS of a broken length", raw(typeSettings, 0, 0, 0, 0, 0), FrameSizeError, "RFC 9113 6.5"},
		{"SETTINGS with too many entries", raw(typeSettings, 0, 0, make([]byte, 33*settingLen)...), EnhanceYourCalm, ""},

		{"PUSH_PROMISE on stream 0", raw(typePushPromise, flagEndHeaders, 0, 0, 0, 0, 2), ProtocolError, "RFC 9113 6.6"},
		{"PUSH_PROMISE without a stream", raw(typePushPromise, flagEndHeaders, 1, 0, 0, 0), FrameSizeError, "RFC 9113 6.6"},
		{"PUSH_PROMISE padded into its stream", raw(typePushPromise, flagPadded|flagEndHeaders, 1, 1, 0, 0, 0, 2), ProtocolError, "RFC 9113 6.6"},

		{"PING on a stream", raw(typePing, 0, 1, make([]byte, 8)...), ProtocolError, "RFC 9113 6.7"},
		{"PING of 7 octets", raw(typePing, 0, 0, make([]byte, 7)...), FrameSizeError, "RFC 9113 6.7"},
		{"GOAWAY on a stream", raw(typeGoAway, 0, 1, make([]byte, 8)...), ProtocolError, "RFC 9113 6.8"},
		{"short GOAWAY", raw(typeGoAway, 0, 0, make([]byte, 7)...), FrameSizeError, "RFC 9113 6.8"},
		{"short WINDOW_UPDATE", raw(typeWindowUpdate, 0, 1, 0, 0, 1), FrameSizeError, "RFC 9113 6.9"},
		{"WINDOW_UPDATE of 0 for the connection", raw(typeWindowUpdate, 0, 0, 0x80, 0, 0, 0), ProtocolError, "RFC 9113 6.9"},

		{"CONTINUATION alone", raw(typeContinuation, flagEndHeaders, 1, 0x82), ProtocolError, "RFC 9113 6.10"},
		{"CONTINUATION on stream 0", raw(typeContinuation, flagEndHeaders, 0, 0x82), ProtocolError, "RFC 9113 6.10"},
		{"CONTINUATION after a complete block", join(headers(flagEndHeaders, 0x82), raw(typeContinuation, flagEndHeaders, 1, 0x82)), ProtocolError, "RFC 9113 6.10"},
		{"CONTINUATION of another stream", join(open, raw(typeContinuation, flagEndHeaders, 3, 0x82)), ProtocolError, "RFC 9113 6.10"},
		{"DATA inside a header block", join(open, raw(typeData, 0, 1, 0)), ProtocolError, "RFC 9113 6.10"},
		{"HEADERS inside a header block", join(open, open), ProtocolError, "RFC 9113 6.10"},
		{"PING inside a header block", join(open, raw(typePing, 0, 0, make([]byte, 8)...)), ProtocolError, "RFC 9113 6.10"},
		{"unknown frame inside a header block", join(open, raw(0x42, 0, 1)), ProtocolError, "RFC 9113 6.10"},
		{"more than 64 CONTINUATIONs", join(open, repeat(65, raw(typeContinuation, 0, 1, 0x82))), EnhanceYourCalm, ""},
		{"a block that is large on the wire", join(raw(typeHeaders, 0, 1, wasteful...), raw(typeContinuation, 0, 1, wasteful...), raw(typeContinuation, 0, 1, wasteful...)), EnhanceYourCalm, ""},

		{"index past the table", headers(flagEndHeaders, 0xff, 0x00), CompressionError, "RFC 9113 4.3"},
		{"index 0", headers(flagEndHeaders, 0x80), CompressionError, "RFC 9113 4.3"},
		{"literal cut off", headers(flagEndHeaders, 0x40, 0x05, 'a'), CompressionError, "RFC 9113 4.3"},
		{"bad Huffman code", headers(flagEndHeaders, 0x00, 0x84, 0xff, 0xff, 0xff, 0xff, 0x00), CompressionError, "RFC 9113 4.3"},
		{"table size past the limit", headers(flagEndHeaders, 0x3f, 0xe2, 0x1f), CompressionError, "RFC 9113 4.3"},
		{"table size behind a field", headers(flagEndHeaders, append(block(field("a", "b")), 0x20)...), CompressionError, "RFC 7541 4.2"},
		{"table size behind a field, the table empty", headers(flagEndHeaders, 0x82, 0x20), CompressionError, "RFC 7541 4.2"},
		{"table size behind indexed fields", join(headers(flagEndHeaders, block(field("a", "b"))...), headers(flagEndHeaders, 0xbe), headers(flagEndHeaders, 0xbe, 0x20)), CompressionError, "RFC 7541 4.2"},
		{"a list of twice the size", join(headers(flagEndHeaders, block(field("a", string(make([]byte, 3000))))...), headers(flagEndHeaders, repeat(20, []byte{0xbe})...)), EnhanceYourCalm, ""},
		{"a list of twice the fields", headers(flagEndHeaders, repeat(257, []byte{0x82})...), EnhanceYourCalm, ""},
		{"a string of twice the size", join(open, raw(typeContinuation, 0, 1, 0x00, 0x01, 'a', 0x7f, 0x82, 0xff, 0x01)), EnhanceYourCalm, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ping := raw(typePing, 0, 0, make([]byte, 8)...)
			for _, src := range []*script{pieces(tt.in, ping), pieces(bytewise(join(tt.in, ping))...)} {
				r := NewReader(src, ReaderConfig{})
				_, err := readAll(r)
				var ce *ConnError
				if !errors.As(err, &ce) {
					t.Fatalf("got %v, want a connection error", err)
				}
				if ce.Code != tt.code || ce.Clause != tt.clause || ce.Blame != Remote {
					t.Errorf("got %v %q, want %v %q", ce, ce.Clause, tt.code, tt.clause)
				}
				if again := r.ReadBatch(NewBatch()); again != err {
					t.Errorf("then %v: an error is final", again)
				}
				r.Close()
			}
		})
	}
}

func bytewise(p []byte) (out [][]byte) {
	for i := range p {
		out = append(out, p[i:i+1])
	}
	return out
}

func TestDefectsThatCostOneStream(t *testing.T) {
	tests := []struct {
		name string
		in   []byte
		code ErrCode
	}{
		{"WINDOW_UPDATE of 0", raw(typeWindowUpdate, 0, 3, 0, 0, 0, 0), ProtocolError},
		{"short PRIORITY", raw(typePriority, 0, 3, 0, 0, 0, 0), FrameSizeError},
		{"long PRIORITY", raw(typePriority, 0, 3, 0, 0, 0, 0, 0, 0), FrameSizeError},
		{"PRIORITY on itself", raw(typePriority, 0, 3, 0, 0, 0, 3, 0), ProtocolError},
		{"HEADERS that depend on themselves", raw(typeHeaders, flagEndHeaders|flagPriority, 3, 0x80, 0, 0, 3, 0, 0x82), ProtocolError},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			frames, err := readAll(NewReader(pieces(tt.in, raw(typeRSTStream, 0, 5, be32(8)...)), ReaderConfig{}))
			if err != io.EOF || len(frames) != 2 {
				t.Fatalf("got %d frames, %v; want 2, EOF", len(frames), err)
			}
			var fault *StreamError
			switch f := frames[0].(type) {
			case *Malformed:
				fault = f.Err
			case *Headers:
				fault = f.Fault
			}
			if fault == nil || fault.StreamID != 3 || fault.Code != tt.code {
				t.Errorf("got %v, want %v on stream 3", fault, tt.code)
			}
			if diff := cmp.Diff(&RSTStream{5, Cancel}, frames[1]); diff != "" {
				t.Errorf("the next frame: %s", diff)
			}
		})
	}
}

func TestFramesAreRead(t *testing.T) {
	debug := bytes.Repeat([]byte("x"), 3*MaxDebugData)
	tests := []struct {
		name string
		in   []byte
		want []Frame
	}{
		{
			"SETTINGS", raw(typeSettings, 0, 0, 0, 3, 0, 0, 0, 100, 0, 99, 1, 2, 3, 4),
			[]Frame{&Settings{Values: []Setting{{SettingMaxConcurrentStreams, 100}, {99, 0x01020304}}}},
		},
		{"SETTINGS ack", raw(typeSettings, flagAck, 0), []Frame{&Settings{Ack: true}}},
		{"PING", raw(typePing, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8), []Frame{&Ping{Data: [8]byte{1, 2, 3, 4, 5, 6, 7, 8}}}},
		{"PING ack", raw(typePing, flagAck, 0, make([]byte, 8)...), []Frame{&Ping{Ack: true}}},
		{
			"GOAWAY", raw(typeGoAway, 0, 0, 0x80, 0, 0, 5, 0, 0, 0, 11, 'h', 'i'),
			[]Frame{&GoAway{LastStreamID: 5, Code: EnhanceYourCalm, Debug: []byte("hi")}},
		},
		{
			"GOAWAY with much to say", join(raw(typeGoAway, 0, 0, append(make([]byte, 8), debug...)...), raw(typePing, 0, 0, make([]byte, 8)...)),
			[]Frame{&GoAway{Debug: debug[:MaxDebugData]}, &Ping{}},
		},
		{"WINDOW_UPDATE", raw(typeWindowUpdate, 0, 7, 0x80, 0, 1, 0), []Frame{&WindowUpdate{StreamID: 7, Slot: NoSlot, Increment: 256}}},
		{"RST_STREAM with an unknown code", raw(typeRSTStream, 0, 7, 0xff, 0, 0, 0), []Frame{&RSTStream{7, 0xff000000}}},
		{"PRIORITY", raw(typePriority, 0, 7, 0x80, 0, 0, 5, 9), []Frame{&Priority{7, 5}}},
		{"unknown frame", join(raw(0x42, 0xff, 7, 1, 2, 3), raw(0xff, 0, 0)), []Frame{&Unknown{7, 0x42}, &Unknown{0, 0xff}}},
		{
			"PUSH_PROMISE keeps the table in step", join(
				raw(typePushPromise, flagPadded, 1, append(append([]byte{2, 0, 0, 0, 2}, block(field("k", "v"))...), 0, 0)...),
				raw(typeContinuation, flagEndHeaders, 1, 0x82),
				raw(typeHeaders, flagEndHeaders|flagEndStream, 1, 0xbe)),
			[]Frame{&PushPromise{1}, &Headers{StreamID: 1, Fields: []Field{field("k", "v")}, EndStream: true}},
		},
		{
			"padded HEADERS with priority", raw(typeHeaders, flagPadded|flagPriority|flagEndHeaders, 1, 2, 0, 0, 0, 3, 7, 0x82, 0, 0),
			[]Frame{&Headers{StreamID: 1, Fields: []Field{field(":method", "GET")}}},
		},
		{"empty header block", raw(typeHeaders, flagEndHeaders, 1), []Frame{&Headers{StreamID: 1}}},
		{
			"CONTINUATION cuts a field", join(raw(typeHeaders, flagEndStream, 1, 0x82, 0x00, 0x01), raw(typeContinuation, 0, 1), raw(typeContinuation, 0, 1, 'a'), raw(typeContinuation, flagEndHeaders, 1, 0x01, 'b')),
			[]Frame{&Glitch{1, "empty CONTINUATION"}, &Glitch{1, "tiny CONTINUATION"}, &Headers{StreamID: 1, EndStream: true, Fields: []Field{field(":method", "GET"), field("a", "b")}}},
		},
		{
			"two table size updates", join(raw(typeHeaders, flagEndHeaders, 1, block(field("k", "v"))...), raw(typeHeaders, flagEndHeaders|flagEndStream, 1, 0x3f, 0x09, 0x3f, 0x61, 0xbe)),
			[]Frame{&Headers{StreamID: 1, Fields: []Field{field("k", "v")}}, &Headers{StreamID: 1, Fields: []Field{field("k", "v")}, EndStream: true}},
		},
		{
			"never indexed", raw(typeHeaders, flagEndHeaders, 1, 0x10, 0x01, 'a', 0x01, 'b'),
			[]Frame{&Headers{StreamID: 1, Fields: []Field{{Name: "a", Value: "b", Sensitive: true}}}},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			frames, err := readAll(NewReader(pieces(tt.in), ReaderConfig{}))
			if err != io.EOF {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, frames, emptyIsNil, contents); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestEndInsideAFrameIsUnexpected(t *testing.T) {
	whole := join(raw(typePing, 0, 0, make([]byte, 8)...))
	for _, in := range [][]byte{
		whole[:1], whole[:9], whole[:16], raw(typeHeaders, 0, 1, 0x82),
		raw(typeData, 0, 1, make([]byte, 100)...)[:50], raw(0x42, 0, 1, 1, 2, 3)[:10],
	} {
		if _, err := readAll(NewReader(pieces(in), ReaderConfig{})); err != io.ErrUnexpectedEOF {
			t.Errorf("%x: %v", in, err)
		}
	}
	broken := errors.New("broken")
	if _, err := readAll(NewReader(&script{pieces: [][]byte{whole[:3]}, err: broken}, ReaderConfig{})); err != broken {
		t.Errorf("got %v, want the source's own error", err)
	}
}

func TestPreface(t *testing.T) {
	ping := raw(typePing, 0, 0, make([]byte, 8)...)
	in := join([]byte(Preface), ping)
	for i := range in {
		r := NewReader(pieces(in[:i], in[i:]), ReaderConfig{})
		if err := r.ReadPreface(); err != nil {
			t.Fatalf("cut at %d: %v", i, err)
		}
		if frames, err := readAll(r); len(frames) != 1 || err != io.EOF {
			t.Fatalf("cut at %d: then %v, %v", i, frames, err)
		}
	}
	for _, bad := range []string{"G", "GET / HTTP/1.1\r\n\r\n", Preface[:20] + "x"} {
		var ce *ConnError
		if err := NewReader(&script{pieces: [][]byte{[]byte(bad)}, err: io.ErrNoProgress}, ReaderConfig{}).ReadPreface(); !errors.As(err, &ce) || ce.Code != ProtocolError {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if err := NewReader(pieces([]byte(Preface[:10])), ReaderConfig{}).ReadPreface(); err != io.ErrUnexpectedEOF {
		t.Errorf("cut short: %v", err)
	}
}
