package callboard

import (
	"context"
	"time"

	orcadata "github.com/cncf/xds/go/xds/data/orca/v3"
	orca "github.com/cncf/xds/go/xds/service/orca/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/callboard-rpc/callboard/actors"
	"github.com/callboard-rpc/callboard/balancer"
	"github.com/callboard-rpc/callboard/balancer/policy"
)

// streamLoads follows a backend's out-of-band load reports on one connection
// until ctx ends, or the backend says that it has none (gRFC A51). It runs on a
// goroutine of the subchannel's.
func (cc *ClientConn) streamLoads(ctx context.Context, on balancer.Conn, every time.Duration, report func(*policy.Load)) {
	b := &backend{cc: cc, get: func() (balancer.Conn, bool) { return on, on.Up() }}
	for failures := 0; ; {
		heard, err := loadsOnce(ctx, b, every, report)
		if ctx.Err() != nil || status.Code(err) == codes.Unimplemented {
			return
		}
		failures++
		if heard {
			failures = 0
		}
		if !pause(ctx, actors.GRPCBackoff.Delay(failures)) {
			return
		}
	}
}

func loadsOnce(ctx context.Context, b *backend, every time.Duration, report func(*policy.Load)) (heard bool, err error) {
	req := &orca.OrcaLoadReportRequest{ReportInterval: durationpb.New(every)}
	return follow(ctx, b, orca.OpenRcaService_StreamCoreMetrics_FullMethodName, req, func(m *orcadata.OrcaLoadReport) {
		report(loadOf(m))
	})
}

func loadOf(m *orcadata.OrcaLoadReport) *policy.Load {
	return &policy.Load{
		CPU: m.GetCpuUtilization(), Memory: m.GetMemUtilization(), Application: m.GetApplicationUtilization(),
		QPS: m.GetRpsFractional(), EPS: m.GetEps(),
		Utilization: m.GetUtilization(), RequestCost: m.GetRequestCost(), NamedMetrics: m.GetNamedMetrics(),
	}
}

// reportOf is what policies of grpc-go understand of a load.
func reportOf(l *policy.Load) any {
	return &orcadata.OrcaLoadReport{
		CpuUtilization: l.CPU, MemUtilization: l.Memory, ApplicationUtilization: l.Application,
		RpsFractional: l.QPS, Eps: l.EPS,
		Utilization: l.Utilization, RequestCost: l.RequestCost, NamedMetrics: l.NamedMetrics,
	}
}
