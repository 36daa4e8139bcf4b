// grpc-js as interop server. It neither shows whether a request was compressed
// nor compresses single responses, so it lacks those features.
// node server.js [CERT KEY]
'use strict'

const fs = require('node:fs')
const grpc = require('@grpc/grpc-js')
const { TestService } = require('./protos')

const payload = n => ({ body: Buffer.alloc(n) })

// echo sends the echo metadata back: it returns the trailer.
function echo (call) {
  const header = new grpc.Metadata()
  const trailer = new grpc.Metadata()
  for (const v of call.metadata.get('x-grpc-test-echo-initial')) header.add('x-grpc-test-echo-initial', v)
  for (const v of call.metadata.get('x-grpc-test-echo-trailing-bin')) trailer.add('x-grpc-test-echo-trailing-bin', v)
  call.sendMetadata(header)
  return trailer
}

function wanted (request, metadata) {
  const st = request.response_status
  return st?.code ? { code: st.code, details: st.message, metadata } : null
}

const service = {
  EmptyCall (call, done) {
    done(null, {})
  },
  UnaryCall (call, done) {
    const trailer = echo(call)
    const err = wanted(call.request, trailer)
    if (err) return done(err)
    const reply = { payload: payload(call.request.response_size) }
    if (call.request.fill_server_id) reply.server_id = 'node'
    done(null, reply, trailer)
  },
  StreamingInputCall (call, done) {
    let size = 0
    call.on('data', request => { size += request.payload.body.length })
    call.on('end', () => done(null, { aggregated_payload_size: size }))
  },
  StreamingOutputCall (call) {
    for (const p of call.request.response_parameters) call.write({ payload: payload(p.size) })
    call.end()
  },
  FullDuplexCall (call) {
    const trailer = echo(call)
    call.on('data', request => {
      const err = wanted(request, trailer)
      if (err) return call.emit('error', err)
      for (const p of request.response_parameters) call.write({ payload: payload(p.size) })
    })
    call.on('end', () => call.end(trailer))
  }
}

const [cert, key] = process.argv.slice(2)
const creds = cert
  ? grpc.ServerCredentials.createSsl(null, [{ cert_chain: fs.readFileSync(cert), private_key: fs.readFileSync(key) }])
  : grpc.ServerCredentials.createInsecure()

const server = new grpc.Server()
server.addService(TestService.service, service)
server.bindAsync('127.0.0.1:0', creds, (err, port) => {
  if (err) throw err
  console.log(`listening on 127.0.0.1:${port}`)
})
process.on('SIGTERM', () => {
  server.forceShutdown()
  process.exit(0)
})
