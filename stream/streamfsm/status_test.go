package streamfsm

import (
	"errors"
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/callboard-rpc/callboard/codec/frame"
	"github.com/callboard-rpc/callboard/codec/header"
)

func TestResetBecomesStatus(t *testing.T) {
	for _, c := range []struct {
		code        frame.ErrCode
		want        codes.Code
		unprocessed bool
	}{
		{frame.NoError, codes.Internal, false},
		{frame.ProtocolError, codes.Internal, false},
		{frame.InternalError, codes.Internal, false},
		{frame.FlowControlError, codes.Internal, false},
		{frame.SettingsTimeout, codes.Internal, false},
		{frame.StreamClosed, codes.Internal, false},
		{frame.FrameSizeError, codes.Internal, false},
		{frame.RefusedStream, codes.Unavailable, true},
		{frame.Cancel, codes.Canceled, false},
		{frame.CompressionError, codes.Internal, false},
		{frame.ConnectError, codes.Internal, false},
		{frame.EnhanceYourCalm, codes.ResourceExhausted, false},
		{frame.InadequateSecurity, codes.PermissionDenied, false},
		{frame.HTTP11Required, codes.Internal, false},
		{0xff, codes.Unknown, false},
	} {
		t.Run(c.code.String(), func(t *testing.T) {
			m := openClient(t, &Open{StreamID: 1, Header: request(), EndStream: true})
			var fx Effects
			step(t, m, &frame.RSTStream{StreamID: 1, Code: c.code}, epoch, &fx)
			o := fx.Outcome
			if o == nil || o.Code != c.want || o.Unprocessed != c.unprocessed || !o.Reset || o.ResetCode != c.code {
				t.Errorf("outcome %+v, want %v, unprocessed %t", o, c.want, c.unprocessed)
			}
		})
	}
}

func TestCancelAfterTheDeadlineIsTheDeadline(t *testing.T) {
	for _, c := range []struct {
		name string
		code frame.ErrCode
		at   time.Time
		want codes.Code
	}{
		{"before", frame.Cancel, epoch, codes.Canceled},
		{"after", frame.Cancel, epoch.Add(time.Second), codes.DeadlineExceeded},
		{"after, other code", frame.InternalError, epoch.Add(time.Second), codes.Internal},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := openClient(t, &Open{StreamID: 1, Header: request(), Deadline: epoch.Add(time.Second)})
			var fx Effects
			step(t, m, &frame.RSTStream{StreamID: 1, Code: c.code}, c.at, &fx)
			if fx.Outcome.Code != c.want {
				t.Errorf("outcome %v, want %v", fx.Outcome.Code, c.want)
			}
		})
	}
}

// A response that has begun was processed, whatever is said later.
func TestAnsweredIsProcessed(t *testing.T) {
	events := map[string]Event{
		"reset": &frame.RSTStream{StreamID: 1, Code: frame.RefusedStream},
		"lost":  &Lost{StreamID: 1, Code: codes.Unavailable, Unprocessed: true},
	}
	for name, ev := range events {
		t.Run(name, func(t *testing.T) {
			m := openClient(t, &Open{StreamID: 1, Header: request(), EndStream: true})
			var fx Effects
			step(t, m, &frame.Headers{StreamID: 1, Fields: slices.Clone(blocks[1])}, epoch, &fx)
			fx.Reset()
			step(t, m, ev, epoch, &fx)
			if o := fx.Outcome; o.Code != codes.Unavailable || o.Unprocessed {
				t.Errorf("outcome %+v", o)
			}
		})
	}
}

func TestFailureBecomesStatus(t *testing.T) {
	for _, c := range []struct {
		name string
		err  frame.StreamError
		want codes.Code
	}{
		{"protocol", frame.StreamError{Code: frame.ProtocolError}, codes.Internal},
		{"limit", frame.StreamError{Code: frame.EnhanceYourCalm}, codes.ResourceExhausted},
		{"refused", frame.StreamError{Code: frame.RefusedStream}, codes.Unavailable},
		{"stalled", frame.StreamError{Code: frame.Cancel, Blame: frame.Local}, codes.Unavailable},
		{"given up", frame.StreamError{Code: frame.Cancel, Blame: frame.User}, codes.Canceled},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := openClient(t, &Open{StreamID: 1, Header: request()})
			c.err.StreamID = 1
			var fx Effects
			if err := m.Step(&Fail{Err: &c.err}, epoch, &fx); (err != nil) != (c.err.Blame == frame.Remote) {
				t.Errorf("error %v: to blame: %v", err, c.err.Blame)
			}
			if fx.Outcome.Code != c.want {
				t.Errorf("outcome %v, want %v", fx.Outcome.Code, c.want)
			}
			if o := fx.Out[0]; !o.Reset || o.Code != c.err.Code {
				t.Errorf("reset with %v", o.Code)
			}
		})
	}
}

func TestTrailersWithoutStatusFollowHTTP(t *testing.T) {
	for _, c := range []struct {
		http   string
		fields []frame.Field
		want   codes.Code
	}{
		{"200", nil, codes.Unknown},
		{"503", nil, codes.Unavailable},
		{"503", []frame.Field{{Name: "grpc-status", Value: "5"}}, codes.NotFound},
		{"401", nil, codes.Unauthenticated},
	} {
		m := openClient(t, &Open{StreamID: 1, Header: request(), EndStream: true})
		var fx Effects
		step(t, m, &frame.Headers{StreamID: 1, Fields: []frame.Field{
			{Name: ":status", Value: c.http}, {Name: "content-type", Value: "application/grpc"},
		}}, epoch, &fx)
		fx.Reset()
		step(t, m, &frame.Headers{StreamID: 1, EndStream: true, Fields: c.fields}, epoch, &fx)
		if fx.Outcome == nil || fx.Outcome.Code != c.want {
			t.Errorf("HTTP %s with %v: outcome %+v, want %v", c.http, c.fields, fx.Outcome, c.want)
		}
	}
}

// The body of a response that is not gRPC's is quoted, if the reader has made
// text of it.
func TestForeignBodyIsQuoted(t *testing.T) {
	m := openClient(t, &Open{StreamID: 1, Header: request(), EndStream: true})
	var fx Effects
	step(t, m, &frame.Headers{StreamID: 1, Fields: slices.Clone(blocks[3])}, epoch, &fx)
	fx.Reset()
	tr := &tracked{}
	step(t, m, &frame.Data{StreamID: 1, Size: 9, Message: tr.buffer([]byte("no such \n")), EndStream: true}, epoch, &fx)
	const want = `response is not gRPC: HTTP status 404, content-type "text/html": "no such \n"`
	if o := fx.Outcome; o.Code != codes.Unimplemented || o.Status.Message() != want {
		t.Errorf("outcome %v %q", o.Code, o.Status.Message())
	}
	if left := tr.leaked(); left != "" {
		t.Errorf("leaked %s", left)
	}
}

func TestTooManyInterimResponses(t *testing.T) {
	m := openClient(t, &Open{StreamID: 1, Header: request(), EndStream: true})
	for range maxInterim {
		var fx Effects
		step(t, m, &frame.Headers{StreamID: 1, Fields: slices.Clone(blocks[2])}, epoch, &fx)
	}
	var fx Effects
	if err := m.Step(&frame.Headers{StreamID: 1, Fields: slices.Clone(blocks[2])}, epoch, &fx); err == nil || fx.Outcome.Code != codes.ResourceExhausted {
		t.Errorf("error %v, outcome %+v", err, fx.Outcome)
	}
}

// A request that never ends and is not gRPC's is answered after a while.
func TestEndlessForeignRequest(t *testing.T) {
	m := New(Config{Role: Server, InitialWindow: 4 * maxForeignBody})
	var fx Effects
	err := m.Step(&frame.Headers{StreamID: 1, Fields: []frame.Field{
		{Name: ":method", Value: "POST"}, {Name: ":scheme", Value: "http"}, {Name: ":path", Value: "/"}, {Name: ":authority", Value: "x"},
	}}, epoch, &fx)
	var se *frame.StreamError
	if !errors.As(err, &se) {
		t.Errorf("error %v: a request without a handler is counted", err)
	}
	if fx.Accept != nil || len(fx.Out) != 0 {
		t.Fatalf("effects %+v", fx)
	}
	for n := 0; n <= maxForeignBody; n += frame.MinMaxFrameSize {
		fx.Reset()
		step(t, m, &frame.Data{StreamID: 1, Size: frame.MinMaxFrameSize}, epoch, &fx)
		if fx.Credit != frame.MinMaxFrameSize {
			t.Fatalf("credit %d", fx.Credit)
		}
	}
	if len(fx.Out) != 1 || !fx.Done {
		t.Fatalf("effects %+v", fx)
	}
	o := fx.Out[0]
	if tr := o.Trailer.(*header.Trailer); tr.HTTPStatus != 415 || !tr.Only || !o.Reset || !o.After || o.Code != frame.NoError || !o.Last {
		t.Errorf("outgoing %+v, trailer %+v", o, tr)
	}
}

func openClient(t *testing.T, ev *Open) *Machine {
	t.Helper()
	m := New(Config{Role: Client, InitialWindow: testWindow})
	var fx Effects
	step(t, m, ev, epoch, &fx)
	return m
}

func step(t *testing.T, m *Machine, ev Event, now time.Time, fx *Effects) {
	t.Helper()
	if err := m.Step(ev, now, fx); err != nil {
		t.Fatalf("step: %v", err)
	}
}
