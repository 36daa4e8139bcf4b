package streamfsm

import (
	"slices"
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/callboard-rpc/callboard/codec/frame"
)

// A message does not get more room than the receive limit, whatever it
// announces, and none while the application has others to read.
func TestWindowGrowsWithinLimits(t *testing.T) {
	m := New(Config{Role: Client, InitialWindow: testWindow, MaxMessage: 2 * testWindow})
	var fx Effects
	step(t, m, &Open{StreamID: 1, Header: request(), EndStream: true}, epoch, &fx)
	step(t, m, &frame.Headers{StreamID: 1, Fields: slices.Clone(blocks[1])}, epoch, &fx)

	tr := &tracked{}
	fx.Reset()
	step(t, m, &frame.Data{StreamID: 1, Size: 600, Message: tr.buffer(make([]byte, 595))}, epoch, &fx)
	fx.Messages[0].Buf.Release()
	fx.Reset()
	step(t, m, &frame.Data{StreamID: 1, Size: 100, Pending: 1 << 30}, epoch, &fx)
	if v := m.View(); v.Window != 300 || v.Waits != WaitReader {
		t.Errorf("with unread messages: %+v", v)
	}
	fx.Reset()
	step(t, m, &Consumed{StreamID: 1, N: 600}, epoch, &fx)
	if v := m.View(); v.Window != PrefixLen+2*testWindow || v.Waits != WaitRest {
		t.Errorf("when they are read: %+v", v)
	}
}

func TestResponseKeepsItsContentLength(t *testing.T) {
	for _, c := range []struct {
		name   string
		octets []int // of messages; the declared length is 35
		end    []frame.Field
		want   codes.Code
	}{
		{"exact", []int{10, 15}, okTrailer, codes.OK},
		{"less", []int{10}, okTrailer, codes.Internal},
		{"more", []int{10, 16}, nil, codes.Internal},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := openClient(t, &Open{StreamID: 1, Header: request(), EndStream: true})
			tr := &tracked{}
			var fx Effects
			step(t, m, &frame.Headers{StreamID: 1, Fields: slices.Clone(blocks[9])}, epoch, &fx)
			var err error
			for _, n := range c.octets {
				fx.Reset()
				err = m.Step(&frame.Data{StreamID: 1, Size: PrefixLen + n, Message: tr.buffer(make([]byte, n))}, epoch, &fx)
				for _, msg := range fx.Messages {
					msg.Buf.Release()
				}
			}
			if c.end != nil {
				fx.Reset()
				err = m.Step(&frame.Headers{StreamID: 1, EndStream: true, Fields: slices.Clone(c.end)}, epoch, &fx)
			}
			if fx.Outcome == nil || fx.Outcome.Code != c.want || (err != nil) != (c.want != codes.OK) {
				t.Errorf("outcome %+v, error %v, want %v", fx.Outcome, err, c.want)
			}
			if left := tr.leaked(); left != "" {
				t.Errorf("leaked %s", left)
			}
		})
	}
}

func TestFaultBecomesStatus(t *testing.T) {
	for _, c := range []struct {
		fault frame.Fault
		want  codes.Code
	}{
		{frame.Fault{Kind: frame.BadFlag, Got: 7, Limit: 1}, codes.Internal},
		{frame.Fault{Kind: frame.TooLarge, Got: 5 << 20, Limit: 4 << 20}, codes.ResourceExhausted},
		{frame.Fault{Kind: frame.NoBudget, Got: 1 << 20}, codes.ResourceExhausted},
		{frame.Fault{Kind: frame.Truncated}, codes.Internal},
	} {
		client := openClient(t, &Open{StreamID: 1, Header: request()})
		var fx Effects
		step(t, client, &frame.Headers{StreamID: 1, Fields: slices.Clone(blocks[1])}, epoch, &fx)
		fx.Reset()
		end := c.fault.Kind == frame.Truncated
		step(t, client, &frame.Data{StreamID: 1, Size: 5, Fault: &c.fault, EndStream: end}, epoch, &fx)
		if o := fx.Outcome; o == nil || o.Code != c.want || *o.Fault != c.fault || !fx.Done {
			t.Errorf("client: fault %d: outcome %+v, want %v", c.fault.Kind, o, c.want)
		}

		server := New(Config{Role: Server, InitialWindow: testWindow})
		fx.Reset()
		step(t, server, &frame.Headers{StreamID: 1, Fields: slices.Clone(blocks[0])}, epoch, &fx)
		fx.Reset()
		step(t, server, &frame.Data{StreamID: 1, Size: 5, Fault: &c.fault, EndStream: end}, epoch, &fx)
		if o := fx.Outcome; o == nil || o.Code != c.want || *o.Fault != c.fault || fx.Done || len(fx.Out) != 0 {
			t.Errorf("server: fault %d: outcome %+v, want %v", c.fault.Kind, o, c.want)
		}
		if server.View().Waits != WaitHandler {
			t.Errorf("server waits for %v", server.View().Waits)
		}
	}
}
