// Package interop holds what proves callboard against other implementations:
// the official test cases and services, main packages that take the official
// flags, and scripts that bring in suites and peers written by others.
//
//   - cases: the client side of the official interop description
//   - services: TestService and its companions
//   - peer: one constructor per implementation, so that every pairing is data
//   - observe: tells whether a received message was compressed
//   - client, server: the binaries
//   - conformance: client and server under test for connectconformance (own module)
//   - official.sh: grpc-go's own interop client and test service (server in a module of its own)
//   - foreign.sh: python3-grpcio and grpc-js, programs in foreign
//   - h2spec.sh: HTTP/2 conformance of the server
//
// The package itself carries the test certificates.
package interop
