package callboard

import (
	"errors"
	"reflect"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/callboard-rpc/callboard/codec"
	"github.com/callboard-rpc/callboard/codec/buffer"
)

// PreparedMsg is a message encoded once, to be sent by SendMsg any number of
// times, on streams of the same codec and compressor. It takes the place of
// grpc.PreparedMsg on clients and servers of this package.
type PreparedMsg struct{ p prepared }

// prepared is an encoded message. Each send takes a reference of its own; the
// first one is never released, so the octets are left to the garbage
// collector.
type prepared struct {
	wire     *buffer.Buffer
	sizes    codec.Sizes
	codec    string
	encoding string
}

// preparer is a stream that encodes messages before they are sent.
type preparer interface {
	prepare(m any) (prepared, error)
}

var errNoPreparer = errors.New("callboard: PreparedMsg.Encode: the stream is not callboard's")

// Encode encodes m for s, with the codec and the compressor in force there.
func (p *PreparedMsg) Encode(s grpc.Stream, m any) error { //nolint:staticcheck // grpc.PreparedMsg's own signature
	from, ok := unwrap(s).(preparer)
	if !ok {
		// An interceptor has wrapped the stream, but not its context.
		ctx := s.Context() //nolint:staticcheck // grpc.PreparedMsg's own way
		from, ok = grpc.ServerTransportStreamFromContext(ctx).(preparer)
	}
	if !ok {
		return errNoPreparer
	}
	got, err := from.prepare(m)
	if err != nil {
		return err
	}
	p.p = got
	return nil
}

// take gives the octets to a stream of codec c that compresses with encoding.
// The caller owns them.
func (p *PreparedMsg) take(c codec.Codec, encoding string, maxSend int) (*buffer.Buffer, codec.Sizes, error) {
	switch {
	case p.p.wire == nil:
		return nil, codec.Sizes{}, status.Error(codes.Internal, "the PreparedMsg was not encoded")
	case p.p.codec != c.Name() || p.p.encoding != "" && p.p.encoding != encoding:
		return nil, codec.Sizes{}, status.Errorf(codes.Internal,
			"the PreparedMsg was encoded by %s with compressor %q, the stream wants %s with %q",
			p.p.codec, p.p.encoding, c.Name(), encoding)
	case p.p.sizes.Wire > maxSend:
		return nil, codec.Sizes{}, status.Errorf(codes.ResourceExhausted,
			"send: message of %d octets is larger than the maximum of %d", p.p.sizes.Wire, maxSend)
	}
	return p.p.wire.Retain(), p.p.sizes, nil
}

// unwrap looks inside the types of generated code, which embed the stream.
func unwrap(s grpc.Stream) any { //nolint:staticcheck // grpc.PreparedMsg's own signature
	v := reflect.Indirect(reflect.ValueOf(s))
	for v.Kind() == reflect.Struct {
		if p, ok := v.Interface().(preparer); ok {
			return p
		}
		inner := v.FieldByName("ClientStream")
		if !inner.IsValid() {
			inner = v.FieldByName("ServerStream")
		}
		if !inner.IsValid() || inner.Kind() != reflect.Interface || inner.IsNil() {
			return s
		}
		if p, ok := inner.Interface().(preparer); ok {
			return p
		}
		v = reflect.Indirect(inner.Elem())
	}
	return s
}
