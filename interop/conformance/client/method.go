package main

import (
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	pb "github.com/callboard-rpc/callboard/interop/conformance/conformancev1"
)

// response is what the responses of ConformanceService have in common.
type response interface {
	proto.Message
	GetPayload() *pb.ConformancePayload
}

// method says how to call one method. Calls go through grpc.ClientStream, the
// way generated stubs do: one path serves all four kinds.
type method struct {
	path                         string
	clientStreams, serverStreams bool
	newRequest                   func() proto.Message
	newResponse                  func() proto.Message
}

func message[T any, P interface {
	*T
	proto.Message
}]() proto.Message {
	return P(new(T))
}

func methodOf(req *pb.ClientCompatRequest) (method, error) {
	if s := req.GetService(); s != pb.ConformanceService_ServiceDesc.ServiceName {
		return method{}, fmt.Errorf("no service %q", s)
	}
	switch req.GetMethod() {
	case "Unary":
		return method{
			pb.ConformanceService_Unary_FullMethodName, false, false,
			message[pb.UnaryRequest], message[pb.UnaryResponse],
		}, nil
	case "ServerStream":
		return method{
			pb.ConformanceService_ServerStream_FullMethodName, false, true,
			message[pb.ServerStreamRequest], message[pb.ServerStreamResponse],
		}, nil
	case "ClientStream":
		return method{
			pb.ConformanceService_ClientStream_FullMethodName, true, false,
			message[pb.ClientStreamRequest], message[pb.ClientStreamResponse],
		}, nil
	case "BidiStream":
		return method{
			pb.ConformanceService_BidiStream_FullMethodName, true, true,
			message[pb.BidiStreamRequest], message[pb.BidiStreamResponse],
		}, nil
	case "Unimplemented":
		return method{
			pb.ConformanceService_Unimplemented_FullMethodName, false, false,
			message[pb.UnimplementedRequest], message[pb.UnimplementedResponse],
		}, nil
	}
	return method{}, fmt.Errorf("no method %q for gRPC", req.GetMethod())
}

func (m method) desc() *grpc.StreamDesc {
	return &grpc.StreamDesc{ClientStreams: m.clientStreams, ServerStreams: m.serverStreams}
}
