package thirdparty_test

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/grpc-ecosystem/go-grpc-middleware/v2/testing/testpb"
	"github.com/jhump/protoreflect/grpcreflect"
	"google.golang.org/grpc"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection"
	alphapb "google.golang.org/grpc/reflection/grpc_reflection_v1alpha"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
)

// described is what a client learns of a server by reflection alone.
type described struct {
	Services []string
	Methods  []method
	Missing  bool // what there is not is not found
	Dynamic  []string
}

type method struct {
	Name, Input, Output string
	Client, Server      bool // streams
}

// grpc-go's reflection service describes a callboard server as it does a
// grpc-go one, in either version, and a client that knows nothing but that can
// call it: unary and streaming.
func TestReflection(t *testing.T) {
	for name, register := range map[string]func(server){
		"v1": func(s server) { reflection.RegisterV1(s) },
		// The client tries v1 first.
		"v1alpha": func(s server) {
			alphapb.RegisterServerReflectionServer(s, reflection.NewServer(reflection.ServerOptions{Services: s}))
		},
		"both": func(s server) { reflection.Register(s) },
	} {
		t.Run(name, func(t *testing.T) {
			want := sameAsGRPCGo(t, func(t *testing.T, p pairing) described {
				b := new(backend).start(t, p.server, serverSide{}, register)
				return describe(t, dial(t, p.client, b.addr, clientSide{}))
			})
			full := testpb.TestService_ServiceDesc.ServiceName
			if !slices.Contains(want.Services, full) || len(want.Methods) != 6 || !want.Missing {
				t.Errorf("%+v", want)
			}
			if d := cmp.Diff([]string{"unary hi", "stream hi", "stream hi"}, want.Dynamic); d != "" {
				t.Errorf("dynamic calls: -want +got\n%s", d)
			}
		})
	}
}

func describe(t *testing.T, cc client) (got described) {
	t.Helper()
	ctx := soon(t)
	rc := grpcreflect.NewClientAuto(ctx, cc)
	defer rc.Reset()
	var err error
	if got.Services, err = rc.ListServices(); err != nil {
		t.Fatal(err)
	}
	slices.Sort(got.Services)
	_, err = rc.FileContainingSymbol(healthpb.Health_ServiceDesc.ServiceName + "Nothing")
	got.Missing = grpcreflect.IsElementNotFoundError(err)
	sd, err := rc.ResolveService(testpb.TestService_ServiceDesc.ServiceName)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range sd.GetMethods() {
		got.Methods = append(got.Methods, method{
			m.GetName(), m.GetInputType().GetFullyQualifiedName(), m.GetOutputType().GetFullyQualifiedName(),
			m.IsClientStreaming(), m.IsServerStreaming(),
		})
	}

	got.Dynamic = append(got.Dynamic, "unary "+pingUnseen(t, cc, sd.FindMethodByName("Ping").UnwrapMethod()))
	bidi := sd.FindMethodByName("PingStream").UnwrapMethod()
	st, err := cc.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, path(bidi))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		out := dynamicpb.NewMessage(bidi.Output())
		if err := errors.Join(st.SendMsg(saying(bidi, "hi")), st.RecvMsg(out)); err != nil {
			t.Fatal(err)
		}
		got.Dynamic = append(got.Dynamic, "stream "+said(out))
	}
	if err := errors.Join(st.CloseSend(), st.RecvMsg(dynamicpb.NewMessage(bidi.Output()))); !errors.Is(err, io.EOF) {
		t.Errorf("end: %v", err)
	}
	return got
}

// pingUnseen makes a unary RPC with messages whose types were made of what
// reflection told.
func pingUnseen(t *testing.T, cc client, m protoreflect.MethodDescriptor) string {
	t.Helper()
	out := dynamicpb.NewMessage(m.Output())
	if err := cc.Invoke(soon(t), path(m), saying(m, "hi"), out); err != nil {
		t.Fatal(err)
	}
	return said(out)
}

func path(m protoreflect.MethodDescriptor) string {
	return fmt.Sprintf("/%s/%s", m.Parent().FullName(), m.Name())
}

func saying(to protoreflect.MethodDescriptor, value string) *dynamicpb.Message {
	m := dynamicpb.NewMessage(to.Input())
	m.Set(to.Input().Fields().ByName("value"), protoreflect.ValueOfString(value))
	return m
}

func said(m *dynamicpb.Message) string {
	return m.Get(m.Descriptor().Fields().ByName("value")).String()
}
