// grpc-js as interop client: runs every case against a server and exits with 1
// if one failed. node client.js PORT [CA]
'use strict'

const assert = require('node:assert/strict')
const fs = require('node:fs')
const grpc = require('@grpc/grpc-js')
const { TestService, UnimplementedService } = require('./protos')

const requests = [27182, 8, 1828, 45904]
const responses = [31415, 9, 2653, 58979]
const gzip = { 'grpc.default_compression_algorithm': 2 }
const { status } = grpc

const payload = n => ({ body: Buffer.alloc(n) })
const deadline = ms => ({ deadline: Date.now() + ms })
const soon = () => deadline(20000)
const output = (n, ...sizes) => ({ payload: payload(n), response_parameters: sizes.map(size => ({ size })) })

// unary resolves to {err, reply, header, trailer}.
function unary (client, method, request, metadata = new grpc.Metadata()) {
  return new Promise(resolve => {
    const got = {}
    const call = client[method](request, metadata, soon(), (err, reply) => Object.assign(got, { err, reply }))
    call.on('metadata', header => { got.header = header })
    call.on('status', st => resolve(Object.assign(got, { trailer: st.metadata })))
  })
}

// drain resolves to {sizes, st, header} once a receiving stream is over; each
// response is passed to react.
function drain (call, react = () => {}) {
  return new Promise(resolve => {
    const got = { sizes: [] }
    call.on('metadata', header => { got.header = header })
    call.on('data', message => { got.sizes.push(message.payload.body.length); react(got.sizes.length) })
    call.on('error', () => {})
    call.on('status', st => resolve(Object.assign(got, { st })))
  })
}

function ok (got) {
  if (got.err) throw got.err
  return got.reply
}

async function large (client, extra = {}) {
  const reply = ok(await unary(client, 'UnaryCall', { response_size: 314159, payload: payload(271828), ...extra }))
  assert.equal(reply.payload.body.length, 314159)
}

function echoMetadata () {
  const md = new grpc.Metadata()
  md.set('x-grpc-test-echo-initial', 'test_initial_metadata_value')
  md.set('x-grpc-test-echo-trailing-bin', Buffer.from('ababab', 'hex'))
  return md
}

function checkEcho (header, trailer) {
  assert.deepEqual(header.get('x-grpc-test-echo-initial'), ['test_initial_metadata_value'])
  assert.deepEqual(trailer.get('x-grpc-test-echo-trailing-bin'), [Buffer.from('ababab', 'hex')])
}

const cases = {
  async empty_unary ({ client }) {
    ok(await unary(client, 'EmptyCall', {}))
  },
  async large_unary ({ client }) {
    await large(client)
  },
  async client_compressed_unary ({ client, compressing }) {
    const probe = await unary(client, 'UnaryCall', { expect_compressed: { value: true }, payload: payload(271828) })
    assert.equal(probe.err?.code, status.INVALID_ARGUMENT)
    await large(compressing, { expect_compressed: { value: true } })
    await large(client, { expect_compressed: { value: false } })
  },
  async server_compressed_unary ({ client }) {
    await large(client, { response_compressed: { value: true } })
    await large(client, { response_compressed: { value: false } })
  },
  async server_compressed_streaming ({ client }) {
    const request = {
      response_parameters: [
        { size: 31415, compressed: { value: true } },
        { size: 92653, compressed: { value: false } }
      ]
    }
    const { sizes, st } = await drain(client.StreamingOutputCall(request, soon()))
    assert.deepEqual([sizes, st.code], [[31415, 92653], status.OK])
  },
  async client_streaming ({ client }) {
    const reply = await new Promise((resolve, reject) => {
      const call = client.StreamingInputCall(soon(), (err, reply) => err ? reject(err) : resolve(reply))
      for (const n of requests) call.write({ payload: payload(n) })
      call.end()
    })
    assert.equal(reply.aggregated_payload_size, 74922)
  },
  async server_streaming ({ client }) {
    const { sizes, st } = await drain(client.StreamingOutputCall(output(0, ...responses), soon()))
    assert.deepEqual([sizes, st.code], [responses, status.OK])
  },
  async ping_pong ({ client }) {
    const call = client.FullDuplexCall(soon())
    const send = i => i < requests.length ? call.write(output(requests[i], responses[i])) : call.end()
    const over = drain(call, send)
    send(0)
    const { sizes, st } = await over
    assert.deepEqual([sizes, st.code], [responses, status.OK])
  },
  async empty_stream ({ client }) {
    const call = client.FullDuplexCall(soon())
    call.end()
    const { sizes, st } = await drain(call)
    assert.deepEqual([sizes, st.code], [[], status.OK])
  },
  async custom_metadata ({ client }) {
    const got = await unary(client, 'UnaryCall', { response_size: 1 }, echoMetadata())
    ok(got)
    checkEcho(got.header, got.trailer)
    const call = client.FullDuplexCall(echoMetadata(), soon())
    call.write(output(1, 1))
    call.end()
    const { header, st } = await drain(call)
    assert.equal(st.code, status.OK)
    checkEcho(header, st.metadata)
  },
  async status_code_and_message ({ client }) {
    const message = 'test status message'
    const request = { response_status: { code: 2, message } }
    const { err } = await unary(client, 'UnaryCall', request)
    assert.deepEqual([err?.code, err?.details], [2, message])
    const call = client.FullDuplexCall(soon())
    call.write(request)
    call.end()
    const { st } = await drain(call)
    assert.deepEqual([st.code, st.details], [2, message])
  },
  async special_status_message ({ client }) {
    const message = '\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n'
    const { err } = await unary(client, 'UnaryCall', { response_status: { code: 2, message } })
    assert.deepEqual([err?.code, err?.details], [2, message])
  },
  async unimplemented_method ({ client }) {
    const { err } = await unary(client, 'UnimplementedCall', {})
    assert.equal(err?.code, status.UNIMPLEMENTED)
  },
  async unimplemented_service ({ other }) {
    const { err } = await unary(other, 'UnimplementedCall', {})
    assert.equal(err?.code, status.UNIMPLEMENTED)
  },
  async cancel_after_begin ({ client }) {
    const err = await new Promise(resolve => {
      client.StreamingInputCall(soon(), resolve).cancel()
    })
    assert.equal(err?.code, status.CANCELLED)
  },
  async cancel_after_first_response ({ client }) {
    const call = client.FullDuplexCall(soon())
    const over = drain(call, () => call.cancel())
    call.write(output(27182, 31415))
    const { sizes, st } = await over
    assert.deepEqual([sizes, st.code], [[31415], status.CANCELLED])
  },
  async timeout_on_sleeping_server ({ client }) {
    const call = client.FullDuplexCall(deadline(1))
    call.write(output(27182))
    const { st } = await drain(call)
    assert.equal(st.code, status.DEADLINE_EXCEEDED)
  },
  async concurrent_large_unary ({ client }) {
    await Promise.all(Array.from({ length: 200 }, () => large(client)))
  }
}

async function main () {
  const [port, ca] = process.argv.slice(2)
  const target = `127.0.0.1:${port}`
  const creds = ca ? grpc.credentials.createSsl(fs.readFileSync(ca)) : grpc.credentials.createInsecure()
  const name = 'foo.test.google.fr'
  const options = ca ? { 'grpc.ssl_target_name_override': name, 'grpc.default_authority': name } : {}
  const env = {
    client: new TestService(target, creds, options),
    compressing: new TestService(target, creds, { ...options, ...gzip }),
    other: new UnimplementedService(target, creds, options)
  }
  let failed = 0
  for (const [name, run] of Object.entries(cases)) {
    try {
      await run(env)
    } catch (err) {
      failed++
      console.log(`   FAILED ${name}: ${err.message}`)
    }
  }
  for (const client of Object.values(env)) client.close()
  const n = Object.keys(cases).length
  console.log(`   ${n - failed} of ${n} passed`)
  process.exit(failed ? 1 : 0)
}

main()
