/** Encoding and decoding one danmaku, both encodings: what the room pays once per message, and a client once per event. */
import {
  decodeRequestJson,
  decodeRequestsProto,
  decodeServerFrame,
  encodeEventJson,
  encodeEventProto,
  encodeRequest,
} from '../../schemas/wire.ts'
import { bench } from './runner.ts'
import { danmaku, request } from './samples.ts'

const event = danmaku(42)
const json = encodeEventJson(event)
const proto = encodeEventProto(event)
const jsonText = Buffer.from(json).toString()
const requestJson = Buffer.from(encodeRequest('json', request) as string)
const requestProto = encodeRequest('proto', request) as Uint8Array
const depthMax = 8
const requestsMax = 64

console.log(`one danmaku.sent: ${json.length} bytes of JSON, ${proto.length} bytes of protobuf`)
bench('encode event, json', () => encodeEventJson(event))
bench('encode event, proto', () => encodeEventProto(event))
bench('decode event, json (client)', () => decodeServerFrame(jsonText))
bench('decode event, proto (client)', () => decodeServerFrame(proto))
bench('decode request, json (server)', () => decodeRequestJson(requestJson, depthMax))
bench('decode request, proto (server)', () => decodeRequestsProto(requestProto, requestsMax, depthMax))
