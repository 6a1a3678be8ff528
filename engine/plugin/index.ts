/**
 * `livehouse/plugin`: what a plugin is written with. Start with `plugins/README.md`, or `livehouse plugin new my-plugin`.
 */
export { type Static, Type } from '@sinclair/typebox'
export { CallError, type Context, type PluginLog, type PluginMetrics, type RoomView } from './context.ts'
export {
  type Ask,
  type Asker,
  type CommandAsk,
  definePlugin,
  type EmitSpec,
  type EngineCallName,
  engineCalls,
  type Plugin,
  type PluginEvent,
  Refusal,
  type RouteReply,
  type RouteRequest,
  refuse,
} from './define.ts'
export {
  allow,
  type ChargeAnswer,
  challenge,
  deny,
  type HookedEventData,
  hold,
  type Json,
  type LedgerEvents,
  type PostingTemplate,
  type SystemEvents,
  shadow,
  type Verdict,
} from './hooks.ts'
