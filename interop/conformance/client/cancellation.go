package main

import (
	"time"

	pb "github.com/callboard-rpc/callboard/interop/conformance/conformancev1"
)

// cancellation says when the client cancels its call; -1 means never.
type cancellation struct {
	beforeCloseSend bool
	afterCloseSend  time.Duration
	afterResponses  int
}

func cancellationOf(c *pb.ClientCompatRequest_Cancel) cancellation {
	when := cancellation{afterCloseSend: -1, afterResponses: -1}
	if c == nil {
		return when
	}
	switch t := c.GetCancelTiming().(type) {
	case *pb.ClientCompatRequest_Cancel_BeforeCloseSend:
		when.beforeCloseSend = true
	case *pb.ClientCompatRequest_Cancel_AfterCloseSendMs:
		when.afterCloseSend = time.Duration(t.AfterCloseSendMs) * time.Millisecond
	case *pb.ClientCompatRequest_Cancel_AfterNumResponses:
		when.afterResponses = int(t.AfterNumResponses)
	case nil:
		when.afterCloseSend = 0
	}
	return when
}
