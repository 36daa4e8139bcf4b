"""Debian's python3-grpcio (C-core) as interop client: runs every case against
a server and exits with 1 if one failed."""

import argparse
import itertools
import sys
import time
from concurrent import futures
from queue import SimpleQueue

import grpc
from protos import empty_pb2, messages_pb2 as pb, test_pb2_grpc

REQUESTS = (27182, 8, 1828, 45904)
RESPONSES = (31415, 9, 2653, 58979)
DEADLINE = 20  # seconds, of each call
ECHO = (
    ("x-grpc-test-echo-initial", "test_initial_metadata_value"),
    ("x-grpc-test-echo-trailing-bin", b"\xab\xab\xab"),
)


def payload(n):
    return pb.Payload(body=bytes(n))


def want(got, expected, what):
    if got != expected:
        raise AssertionError(f"{what} is {got!r}, want {expected!r}")


def want_body(message, n):
    if message.payload.body != bytes(n):
        raise AssertionError(f"payload has {len(message.payload.body)} bytes, want {n} zeros")


def want_code(call, code, message=None):
    try:
        result = call()
    except grpc.RpcError as err:
        want(err.code(), code, "status")
        if message is not None:
            want(err.details(), message, "status message")
        return
    raise AssertionError(f"no error but {result!r}, want {code}")


def output(request, *responses):
    return pb.StreamingOutputCallRequest(
        payload=payload(request),
        response_parameters=[pb.ResponseParameters(size=n) for n in responses],
    )


def large(stub, **kwargs):
    request = pb.SimpleRequest(response_size=314159, payload=payload(271828))
    want_body(stub.UnaryCall(request, timeout=DEADLINE, **kwargs), 314159)


def empty_unary(stub):
    want(stub.EmptyCall(empty_pb2.Empty(), timeout=DEADLINE), empty_pb2.Empty(), "response")


def large_unary(stub):
    large(stub)


def client_compressed_unary(stub):
    def call(expect, compression):
        request = pb.SimpleRequest(
            response_size=314159, payload=payload(271828), expect_compressed=pb.BoolValue(value=expect)
        )
        return stub.UnaryCall(request, timeout=DEADLINE, compression=compression)

    plain, gzip = grpc.Compression.NoCompression, grpc.Compression.Gzip
    want_code(lambda: call(True, plain), grpc.StatusCode.INVALID_ARGUMENT)
    want_body(call(True, gzip), 314159)
    want_body(call(False, plain), 314159)


def server_compressed_unary(stub):
    for compressed in (True, False):
        request = pb.SimpleRequest(response_size=314159, response_compressed=pb.BoolValue(value=compressed))
        want_body(stub.UnaryCall(request, timeout=DEADLINE), 314159)


def server_compressed_streaming(stub):
    request = pb.StreamingOutputCallRequest(
        response_parameters=[
            pb.ResponseParameters(size=31415, compressed=pb.BoolValue(value=True)),
            pb.ResponseParameters(size=92653, compressed=pb.BoolValue(value=False)),
        ]
    )
    got = [len(m.payload.body) for m in stub.StreamingOutputCall(request, timeout=DEADLINE)]
    want(got, [31415, 92653], "response sizes")


def client_streaming(stub):
    requests = (pb.StreamingInputCallRequest(payload=payload(n)) for n in REQUESTS)
    reply = stub.StreamingInputCall(requests, timeout=DEADLINE)
    want(reply.aggregated_payload_size, sum(REQUESTS), "aggregated_payload_size")


def server_streaming(stub):
    got = [len(m.payload.body) for m in stub.StreamingOutputCall(output(0, *RESPONSES), timeout=DEADLINE)]
    want(got, list(RESPONSES), "response sizes")


def ping_pong(stub):
    queue = SimpleQueue()
    call = stub.FullDuplexCall(iter(queue.get, None), timeout=DEADLINE)
    for request, response in zip(REQUESTS, RESPONSES):
        queue.put(output(request, response))
        want_body(next(call), response)
    queue.put(None)
    want(list(call), [], "further responses")


def empty_stream(stub):
    want(list(stub.FullDuplexCall(iter(()), timeout=DEADLINE)), [], "responses")


def check_echo(call):
    want(dict(call.initial_metadata()).get(ECHO[0][0]), ECHO[0][1], "echoed header")
    want(dict(call.trailing_metadata()).get(ECHO[1][0]), ECHO[1][1], "echoed trailer")


def custom_metadata(stub):
    _, call = stub.UnaryCall.with_call(pb.SimpleRequest(), metadata=ECHO, timeout=DEADLINE)
    check_echo(call)
    call = stub.FullDuplexCall(iter([output(1, 1)]), metadata=ECHO, timeout=DEADLINE)
    want(len(list(call)), 1, "number of responses")
    check_echo(call)


def status_code_and_message(stub):
    echo = pb.EchoStatus(code=2, message="test status message")
    unknown = grpc.StatusCode.UNKNOWN
    want_code(lambda: stub.UnaryCall(pb.SimpleRequest(response_status=echo), timeout=DEADLINE), unknown, echo.message)
    request = pb.StreamingOutputCallRequest(response_status=echo)
    want_code(lambda: list(stub.FullDuplexCall(iter([request]), timeout=DEADLINE)), unknown, echo.message)


def special_status_message(stub):
    message = "\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n"
    request = pb.SimpleRequest(response_status=pb.EchoStatus(code=2, message=message))
    want_code(lambda: stub.UnaryCall(request, timeout=DEADLINE), grpc.StatusCode.UNKNOWN, message)


def unimplemented_method(stub):
    want_code(lambda: stub.UnimplementedCall(empty_pb2.Empty(), timeout=DEADLINE), grpc.StatusCode.UNIMPLEMENTED)


def unimplemented_service(stub):
    other = test_pb2_grpc.UnimplementedServiceStub(stub.channel)
    want_code(lambda: other.UnimplementedCall(empty_pb2.Empty(), timeout=DEADLINE), grpc.StatusCode.UNIMPLEMENTED)


def unknown_service(stub):
    call = stub.channel.unary_unary("/grpc.testing.NoSuchService/NoSuchMethod")
    want_code(lambda: call(b"", timeout=DEADLINE), grpc.StatusCode.UNIMPLEMENTED)


def cancel_after_begin(stub):
    call = stub.StreamingInputCall.future(_never(), timeout=DEADLINE)
    call.cancel()
    want(call.cancelled(), True, "cancelled")
    want(call.code(), grpc.StatusCode.CANCELLED, "status")


def _never():
    """Requests that do not come while the call lives."""
    time.sleep(0.2)
    return
    yield


def cancel_after_first_response(stub):
    queue = SimpleQueue()
    call = stub.FullDuplexCall(iter(queue.get, None), timeout=DEADLINE)
    queue.put(output(27182, 31415))
    want_body(next(call), 31415)
    call.cancel()
    want_code(lambda: next(call), grpc.StatusCode.CANCELLED)
    queue.put(None)


def timeout_on_sleeping_server(stub):
    requests = itertools.chain([output(27182)], _never())
    want_code(lambda: list(stub.FullDuplexCall(requests, timeout=0.001)), grpc.StatusCode.DEADLINE_EXCEEDED)


def concurrent_large_unary(stub):
    with futures.ThreadPoolExecutor(50) as pool:
        for done in [pool.submit(large, stub) for _ in range(200)]:
            done.result()


CASES = (
    empty_unary, large_unary, client_compressed_unary, server_compressed_unary,
    client_streaming, server_streaming, server_compressed_streaming, ping_pong,
    empty_stream, custom_metadata, status_code_and_message, special_status_message,
    unimplemented_method, unimplemented_service, unknown_service, cancel_after_begin,
    cancel_after_first_response, timeout_on_sleeping_server, concurrent_large_unary,
)


def main():
    flags = argparse.ArgumentParser()
    flags.add_argument("--port", type=int, required=True)
    flags.add_argument("--ca", help="CA certificate; TLS is used when given")
    args = flags.parse_args()

    target = f"127.0.0.1:{args.port}"
    if args.ca:
        with open(args.ca, "rb") as file:
            creds = grpc.ssl_channel_credentials(file.read())
        options = [("grpc.ssl_target_name_override", "foo.test.google.fr")]
        channel = grpc.secure_channel(target, creds, options)
    else:
        channel = grpc.insecure_channel(target)
    failed = 0
    with channel:
        stub = test_pb2_grpc.TestServiceStub(channel)
        stub.channel = channel
        for case in CASES:
            try:
                case(stub)
            except Exception as err:  # a broken case must not hide the others
                failed += 1
                print(f"   FAILED {case.__name__}: {err!r}")
    print(f"   {len(CASES) - failed} of {len(CASES)} passed")
    sys.exit(1 if failed else 0)


main()
