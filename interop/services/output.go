package services

import (
	"context"
	"time"

	"google.golang.org/grpc"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"
)

// output sends the responses of one stream.
type output struct {
	t  *Test
	st grpc.ServerStream
	// compressing is set once the stream has a compressor, which must be chosen
	// before its first response. From then on a response that the client wants
	// plain is prepared apart.
	compressing bool
	started     bool
}

func (t *Test) newOutput(st grpc.ServerStream) *output { return &output{t: t, st: st} }

// answer sends what one request asks for.
func (o *output) answer(in *pb.StreamingOutputCallRequest) error {
	if err := echoStatus(in.GetResponseStatus()); err != nil {
		return err
	}
	if err := o.choose(in.GetResponseParameters()); err != nil {
		return err
	}
	for _, p := range in.GetResponseParameters() {
		if err := pause(o.st.Context(), p.GetIntervalUs()); err != nil {
			return err
		}
		body, err := payload(in.GetResponseType(), p.GetSize())
		if err != nil {
			return err
		}
		if err := o.send(p, &pb.StreamingOutputCallResponse{Payload: body}); err != nil {
			return err
		}
	}
	return nil
}

// choose picks the stream's compressor from the parameters of the first
// request that has any.
func (o *output) choose(params []*pb.ResponseParameters) error {
	if o.started || len(params) == 0 {
		return nil
	}
	o.started = true
	asked := false
	for _, p := range params {
		asked = asked || p.GetCompressed() != nil
		o.compressing = o.compressing || p.GetCompressed().GetValue()
	}
	if !asked {
		return nil
	}
	return o.t.compress(o.st.Context(), o.compressing)
}

func (o *output) send(p *pb.ResponseParameters, m any) error {
	if o.compressing && !p.GetCompressed().GetValue() {
		plain, err := o.t.rt.Prepare(o.st, m)
		if err != nil {
			return err
		}
		m = plain
	}
	return o.st.SendMsg(m)
}

// pause waits the given number of microseconds, or until the RPC is over.
func pause(ctx context.Context, us int32) error {
	if us <= 0 {
		return nil
	}
	timer := time.NewTimer(time.Duration(us) * time.Microsecond)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return status.FromContextError(ctx.Err()).Err()
	}
}
