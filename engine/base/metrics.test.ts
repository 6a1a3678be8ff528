import { describe, expect, test } from 'vitest'
import { combinationsMax, createMetrics } from './metrics.ts'

const lines = async (metrics: { text(): Promise<string> }, prefix: string) =>
  (await metrics.text()).split('\n').filter((line) => line.startsWith(prefix))

describe('metrics', () => {
  test('counters, with and without labels', async () => {
    const metrics = createMetrics()
    const refused = metrics.counter('t_refused_total', 'Refusals.', ['code', 'room'])
    refused.inc({ code: 'chat.muted', room: 'a' })
    refused.inc({ room: 'a', code: 'chat.muted' }, 2)
    metrics.counter('t_plain_total', 'Plain.').inc()
    expect(await lines(metrics, 't_')).toEqual(['t_refused_total{code="chat.muted",room="a"} 3', 't_plain_total 1'])
  })

  test('cells are read when the page is, as often as it is', async () => {
    const metrics = createMetrics()
    const high = metrics.cell('t_written_total', 'Written.', { lane: 'high' })
    const low = metrics.cell('t_written_total', 'Written.', { lane: 'low' })
    const plain = metrics.cell('t_ticks_total', 'Ticks.')
    high.value += 5
    plain.value++
    const want = ['t_written_total{lane="high"} 5', 't_written_total{lane="low"} 0', 't_ticks_total 1']
    expect(await lines(metrics, 't_')).toEqual(want)
    expect(await lines(metrics, 't_')).toEqual(want)
    low.value = Number.NaN
    high.value += 1
    expect(await lines(metrics, 't_written')).toEqual(['t_written_total{lane="high"} 6'])
    expect(metrics.cell('t_written_total', 'Written.', { lane: 'high' })).toBe(high)
  })

  test('gauges ask for their value; a sick one is NaN and spares the rest', async () => {
    const metrics = createMetrics()
    let rooms = 1
    metrics.gauge('t_rooms', 'Rooms.', () => rooms)
    metrics.gauge('t_sick', 'Sick.', () => {
      throw new Error('closed')
    })
    metrics.gauge('t_set', 'Set.').set(7)
    rooms = 2
    expect(await lines(metrics, 't_')).toEqual(['t_rooms 2', 't_sick Nan', 't_set 7'])
  })

  test('histograms', async () => {
    const metrics = createMetrics()
    const tick = metrics.histogram('t_tick_ms', 'Ticks.', [1, 10])
    for (const ms of [0.5, 5, 50]) tick.observe(ms)
    expect(await lines(metrics, 't_tick_ms_')).toEqual([
      't_tick_ms_bucket{le="1"} 1',
      't_tick_ms_bucket{le="10"} 2',
      't_tick_ms_bucket{le="+Inf"} 3',
      't_tick_ms_sum 55.5',
      't_tick_ms_count 3',
    ])
  })

  test('label values are bounded, and names fixed', () => {
    const metrics = createMetrics()
    const counter = metrics.counter('t_bound_total', 'Bound.', ['room'])
    for (let i = 0; i < combinationsMax; i++) {
      counter.inc({ room: `r${i}` })
      metrics.cell('t_cells_total', 'Bound.', { room: `r${i}` })
    }
    expect(() => counter.inc({ room: 'one more' })).toThrow(`over ${combinationsMax}`)
    expect(() => metrics.cell('t_cells_total', 'Bound.', { room: 'one more' })).toThrow(`over ${combinationsMax}`)
    counter.inc({ room: 'r0' })
    expect(() => metrics.cell('t_cells_total', 'Bound.', { lane: 'high' })).toThrow('has the labels [room], not [lane]')
    expect(() => metrics.counter('t_other_total', 'Other.').inc({ room: 'a' })).toThrow('has the labels [], not [room]')
  })

  test('a name is taken once', () => {
    const metrics = createMetrics()
    metrics.gauge('t_twice', 'Once.')
    expect(() => metrics.gauge('t_twice', 'Twice.')).toThrow('exists')
    expect(() => metrics.cell('t_twice', 'Twice.')).toThrow('exists')
  })

  test('two engines share the process metrics and nothing else', async () => {
    const [one, two] = [createMetrics(), createMetrics()]
    one.cell('t_mine_total', 'Mine.').value = 1
    expect(await lines(two, 't_mine_total')).toEqual([])
    for (const metrics of [one, two])
      for (const name of ['process_cpu_seconds_total ', 'process_resident_memory_bytes ', 'nodejs_eventloop_lag_p99_seconds '])
        expect(await lines(metrics, name)).toHaveLength(1)
    expect(one.contentType).toContain('text/plain')
  })

  test('describe lists ours by name', () => {
    const metrics = createMetrics()
    metrics.histogram('t_b_ms', 'B.', [1])
    metrics.cell('t_a_total', 'A.')
    metrics.cell('t_a_total', 'A.')
    expect(metrics.describe()).toEqual([
      { name: 't_a_total', help: 'A.', type: 'counter' },
      { name: 't_b_ms', help: 'B.', type: 'histogram' },
    ])
  })
})
