// Package conformance is the part that the client and the server under test of
// connectconformance share: messages over stdin and stdout, headers and errors
// in the suite's form, and the JSON codec. It is a module of its own, so that
// the suite's generated code stays out of callboard's.
package conformance
