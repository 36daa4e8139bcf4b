// Loads TestService from the official .proto files in the directory PROTOS.
'use strict'

const loader = require('@grpc/proto-loader')
const grpc = require('@grpc/grpc-js')

const definition = loader.loadSync('protos/test.proto', {
  includeDirs: [process.env.PROTOS],
  defaults: true,
  keepCase: true
})

module.exports = grpc.loadPackageDefinition(definition).grpc.testing
