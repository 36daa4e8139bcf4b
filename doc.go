// Package callboard is gRPC for Go in which every moving part is an actor: a
// connection, its frame reader, its writer and each stream exchange typed
// messages through mailboxes, and resolver and balancer actors supervise
// connection actors.
//
// It speaks gRPC over HTTP/2 as google.golang.org/grpc does and is typed on that
// package's interfaces: generated stubs, interceptors, credentials, codecs,
// compressors, resolvers and stats handlers are used as they are. A program
// changes its constructors:
//
//	srv := callboard.NewServer()
//	pb.RegisterGreeterServer(srv, &greeter{})
//	go srv.Serve(lis)
//
//	cc, err := callboard.NewClient(target, callboard.WithTransportCredentials(creds))
//	client := pb.NewGreeterClient(cc)
//
// Servers and clients live in a [System], the process's own unless one is made
// by [NewSystem]. [System.Inspect] shows its actors; [WithSupervision] lets a
// program decide what follows when a connection is lost.
//
// Errors of RPCs are status errors. Their text says which actor they come from
// and what caused them.
package callboard
