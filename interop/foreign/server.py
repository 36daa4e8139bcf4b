"""Debian's python3-grpcio (C-core) as interop server. It cannot tell whether a
request was compressed, so it lacks expect_compressed."""

import argparse
import signal
import threading
from concurrent import futures

import grpc
from protos import empty_pb2, messages_pb2 as pb, test_pb2_grpc

CODES = {code.value[0]: code for code in grpc.StatusCode}


def echo(context):
    """Sends the echo metadata back."""
    got = dict(context.invocation_metadata())
    if "x-grpc-test-echo-initial" in got:
        context.send_initial_metadata([("x-grpc-test-echo-initial", got["x-grpc-test-echo-initial"])])
    if "x-grpc-test-echo-trailing-bin" in got:
        context.set_trailing_metadata([("x-grpc-test-echo-trailing-bin", got["x-grpc-test-echo-trailing-bin"])])


def check_status(request, context):
    want = request.response_status
    if want.code:
        context.abort(CODES[want.code], want.message)


class TestService(test_pb2_grpc.TestServiceServicer):
    def EmptyCall(self, request, context):
        return empty_pb2.Empty()

    def UnaryCall(self, request, context):
        if request.response_compressed.value:
            context.set_compression(grpc.Compression.Gzip)
        echo(context)
        check_status(request, context)
        return pb.SimpleResponse(
            payload=pb.Payload(body=bytes(request.response_size)),
            server_id="python" if request.fill_server_id else "",
        )

    def StreamingInputCall(self, requests, context):
        size = sum(len(request.payload.body) for request in requests)
        return pb.StreamingInputCallResponse(aggregated_payload_size=size)

    def StreamingOutputCall(self, request, context):
        parameters = request.response_parameters
        if any(p.compressed.value for p in parameters):
            context.set_compression(grpc.Compression.Gzip)
        yield from self.answer(request, context)

    def FullDuplexCall(self, requests, context):
        echo(context)
        for request in requests:
            yield from self.answer(request, context)

    def answer(self, request, context):
        check_status(request, context)
        for p in request.response_parameters:
            if not p.compressed.value:
                context.disable_next_message_compression()
            yield pb.StreamingOutputCallResponse(payload=pb.Payload(body=bytes(p.size)))


def main():
    flags = argparse.ArgumentParser()
    flags.add_argument("--cert", help="certificate; TLS is served when given")
    flags.add_argument("--key")
    args = flags.parse_args()

    server = grpc.server(futures.ThreadPoolExecutor(32))
    test_pb2_grpc.add_TestServiceServicer_to_server(TestService(), server)
    if args.cert:
        with open(args.cert, "rb") as cert, open(args.key, "rb") as key:
            creds = grpc.ssl_server_credentials([(key.read(), cert.read())])
        port = server.add_secure_port("127.0.0.1:0", creds)
    else:
        port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(f"listening on 127.0.0.1:{port}", flush=True)
    done = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: done.set())
    done.wait()
    server.stop(1).wait()


main()
