package callboard

import (
	"fmt"
	"reflect"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/callboard-rpc/callboard/codec/header"
)

// registry holds what a server serves. It is filled before the server serves
// and only read from then on.
type registry struct {
	services map[string]*service
	methods  map[string]*method // by path, "/pkg.Service/Method"
}

type service struct {
	desc *grpc.ServiceDesc
}

// method is one registered method, with everything about it that is the same
// for all its RPCs.
type method struct {
	path   string
	impl   any
	unary  *grpc.MethodDesc // nil: streaming
	stream *grpc.StreamDesc
	info   *grpc.StreamServerInfo
}

func newRegistry() registry {
	return registry{services: map[string]*service{}, methods: map[string]*method{}}
}

func (r *registry) add(desc *grpc.ServiceDesc, impl any) {
	r.services[desc.ServiceName] = &service{desc: desc}
	base := "/" + desc.ServiceName + "/"
	for i := range desc.Methods {
		m := &method{path: base + desc.Methods[i].MethodName, impl: impl, unary: &desc.Methods[i]}
		r.methods[m.path] = m
	}
	for i := range desc.Streams {
		d := &desc.Streams[i]
		r.methods[base+d.StreamName] = streaming(base+d.StreamName, d, impl)
	}
}

func streaming(path string, d *grpc.StreamDesc, impl any) *method {
	return &method{path: path, impl: impl, stream: d, info: &grpc.StreamServerInfo{
		FullMethod: path, IsClientStream: d.ClientStreams, IsServerStream: d.ServerStreams,
	}}
}

func (m *method) clientStreams() bool { return m.stream != nil && m.stream.ClientStreams }

func (m *method) serverStreams() bool { return m.stream != nil && m.stream.ServerStreams }

// malformed says whether a path, which begins with a slash, names no service.
func malformed(path string) bool { return strings.LastIndexByte(path, '/') <= 0 }

// unknown is the status of an RPC whose path is not registered.
func (r *registry) unknown(path string) *status.Status {
	if malformed(path) {
		return status.New(codes.Unimplemented, "malformed method name: "+header.Escape(path))
	}
	rest := strings.TrimPrefix(path, "/")
	i := strings.LastIndexByte(rest, '/')
	if _, ok := r.services[rest[:i]]; !ok {
		return status.New(codes.Unimplemented, "unknown service "+readable(rest[:i]))
	}
	return status.New(codes.Unimplemented, "unknown method "+readable(rest[i+1:])+" for service "+readable(rest[:i]))
}

// readable leaves a plain name as it is and escapes any other: the peer chose
// it.
func readable(name string) string {
	const longest = 96
	for i := range len(name) {
		if name[i] <= ' ' || name[i] > '~' {
			return header.Escape(name)
		}
	}
	if len(name) > longest {
		return header.Escape(name)
	}
	return name
}

// RegisterService implements grpc.ServiceRegistrar: generated code calls it.
// It panics when impl does not implement the service, when the service is
// registered already, and when the server serves already.
func (s *Server) RegisterService(desc *grpc.ServiceDesc, impl any) {
	if impl != nil {
		want := reflect.TypeOf(desc.HandlerType).Elem()
		if got := reflect.TypeOf(impl); !got.Implements(want) {
			panic(fmt.Sprintf("callboard: RegisterService: %v does not implement %v", got, want))
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.serving {
		panic(fmt.Sprintf("callboard: RegisterService of %q after Serve", desc.ServiceName))
	}
	if _, ok := s.registry.services[desc.ServiceName]; ok {
		panic(fmt.Sprintf("callboard: RegisterService: service %q is registered twice", desc.ServiceName))
	}
	s.registry.add(desc, impl)
}

// GetServiceInfo lists the registered services by name. Reflection asks for
// it.
func (s *Server) GetServiceInfo() map[string]grpc.ServiceInfo {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make(map[string]grpc.ServiceInfo, len(s.registry.services))
	for name, sv := range s.registry.services {
		info := grpc.ServiceInfo{Metadata: sv.desc.Metadata}
		for _, m := range sv.desc.Methods {
			info.Methods = append(info.Methods, grpc.MethodInfo{Name: m.MethodName})
		}
		for _, d := range sv.desc.Streams {
			info.Methods = append(info.Methods, grpc.MethodInfo{
				Name: d.StreamName, IsClientStream: d.ClientStreams, IsServerStream: d.ServerStreams,
			})
		}
		all[name] = info
	}
	return all
}
