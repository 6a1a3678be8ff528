import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type BusMessage, LocalBus } from './bus.ts'
import { ManualClock, settle } from './clock.ts'

function open() {
  const clock = new ManualClock()
  const errors: string[] = []
  const bus = new LocalBus(clock, (error, subject) => errors.push(`${subject}: ${(error as Error).message}`))
  const log: string[] = []
  const listen = (pattern: string, name = pattern) =>
    bus.subscribe(pattern, ({ subject, head }) => log.push(`${name} <- ${subject} ${head}`))
  return { bus, clock, errors, log, listen }
}

describe('delivery', () => {
  test('comes in a microtask, in the order of publishing over all subjects', async () => {
    const { bus, log, listen } = open()
    listen('a.*')
    listen('b')
    for (const [i, subject] of ['a.1', 'b', 'a.2', 'b', 'a.1'].entries()) bus.publish(subject, { head: i })
    expect(log).toEqual([])
    await null
    expect(log).toEqual(['a.* <- a.1 0', 'b <- b 1', 'a.* <- a.2 2', 'b <- b 3', 'a.* <- a.1 4'])
  })

  test('what a handler publishes comes after what was published before', async () => {
    const { bus, log, listen } = open()
    bus.subscribe('first', () => bus.publish('later', { head: 'x' }))
    listen('*')
    bus.publish('first', { head: 1 })
    bus.publish('second', { head: 2 })
    await settle()
    expect(log).toEqual(['* <- first 1', '* <- second 2', '* <- later x'])
  })

  test('hands over head and parts as they are', async () => {
    const { bus } = open()
    const message: BusMessage = { head: { t: 'a' }, parts: [new Uint8Array([1, 2])] }
    const seen: unknown[] = []
    bus.subscribe('a', ({ head, parts }) => seen.push(head, parts))
    bus.publish('a', message)
    await settle()
    expect(seen[0]).toBe(message.head)
    expect(seen[1]).toBe(message.parts)
  })

  test('a handler that throws is reported and stops nobody', async () => {
    const { bus, errors, log, listen } = open()
    bus.subscribe('a', () => {
      throw new Error('sick')
    })
    listen('a')
    bus.publish('a', { head: 1 })
    bus.publish('a', { head: 2 })
    await settle()
    expect(errors).toEqual(['a: sick', 'a: sick'])
    expect(log).toEqual(['a <- a 1', 'a <- a 2'])
  })

  test('a subscription that ended gets nothing, even what is on the way', async () => {
    const { bus, log, listen } = open()
    const stop = listen('a', 'gone')
    listen('a', 'here')
    bus.publish('a', { head: 1 })
    stop()
    stop()
    bus.publish('a', { head: 2 })
    await settle()
    expect(log).toEqual(['here <- a 1', 'here <- a 2'])
  })

  test('one that starts later gets what comes later', async () => {
    const { bus, log, listen } = open()
    bus.publish('a', { head: 1 })
    listen('a')
    bus.publish('a', { head: 2 })
    await settle()
    expect(log).toEqual(['a <- a 2'])
  })

  test('a closed bus is silent', async () => {
    const { bus, log, listen } = open()
    listen('>')
    bus.close()
    bus.publish('a', { head: 1 })
    let answer: unknown = 'none yet'
    bus.request('a', { head: 1 }, { timeoutMs: 10 }, (given) => (answer = given))
    await settle()
    expect(log).toEqual([])
    expect(answer).toBeUndefined()
  })
})

describe('subjects', () => {
  test.each(['', '.', 'a.', '.a', 'a..b', 'a b', 'a.*', 'a.>', '*', '>', 'a\n', 'a\tb'])('%j cannot be published', (subject) => {
    const { bus } = open()
    expect(() => bus.publish(subject, { head: 1 })).toThrow('bad subject')
  })

  test.each(['', '.', 'a.', '.a', 'a..b', 'a b', '>.a', 'a.>.b', 'a\n'])('%j cannot be listened to', (pattern) => {
    expect(() => open().bus.subscribe(pattern, () => {})).toThrow('bad pattern')
  })

  /** The rule of NATS in one line each: `*` is one token, `>` is one or more at the end. */
  const matches = (pattern: string[], subject: string[]): boolean => {
    const [token, ...rest] = pattern
    if (token === '>') return subject.length > 0
    if (token === undefined || subject.length === 0) return token === undefined && subject.length === 0
    return (token === '*' || token === subject[0]) && matches(rest, subject.slice(1))
  }
  const word = fc.constantFrom('a', 'b', 'lh', 'room', 'A')
  const subject = fc.array(word, { minLength: 1, maxLength: 5 })
  const pattern = fc
    .tuple(
      fc.array(fc.oneof({ weight: 3, arbitrary: word }, fc.constant('*')), { minLength: 0, maxLength: 4 }),
      fc.constantFrom('>', '*', 'a', 'b'),
    )
    .map(([tokens, last]) => [...tokens, last])
  type Step = { do: 'subscribe'; pattern: string[] } | { do: 'stop'; which: number } | { do: 'publish'; subject: string[] }
  const step: fc.Arbitrary<Step> = fc.oneof(
    { weight: 3, arbitrary: fc.record({ do: fc.constant('subscribe' as const), pattern }) },
    fc.record({ do: fc.constant('stop' as const), which: fc.nat(20) }),
    { weight: 4, arbitrary: fc.record({ do: fc.constant('publish' as const), subject }) },
  )

  test('reach exactly the subscriptions that match, whoever comes and goes', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        const { bus } = open()
        const model: { pattern: string[]; got: string[]; want: string[]; stop: () => void; live: boolean }[] = []
        for (const now of steps) {
          if (now.do === 'subscribe') {
            const got: string[] = []
            const stop = bus.subscribe(now.pattern.join('.'), (delivery) => got.push(delivery.subject))
            model.push({ pattern: now.pattern, got, want: [], stop, live: true })
          } else if (now.do === 'stop') {
            const one = model[now.which]
            one?.stop()
            if (one) one.live = false
          } else {
            bus.publish(now.subject.join('.'), { head: 1 })
            for (const one of model) if (one.live && matches(one.pattern, now.subject)) one.want.push(now.subject.join('.'))
            await null
          }
        }
        for (const { got, want } of model) expect(got).toEqual(want)
      }),
      { numRuns: 400 },
    )
  })
})

describe('requests', () => {
  const ask = (bus: LocalBus, subject: string, timeoutMs = 1_000) => {
    const answers: unknown[] = []
    bus.request(subject, { head: 'question' }, { timeoutMs }, (answer) => answers.push(answer?.head))
    return answers
  }

  test('are answered once', async () => {
    const { bus, clock } = open()
    bus.subscribe('ask.*', ({ head, reply }) => {
      reply?.({ head: `${head} answered` })
      reply?.({ head: 'again' })
    })
    const answers = ask(bus, 'ask.a')
    expect(answers).toEqual([])
    await settle()
    clock.advance(10_000)
    expect(answers).toEqual(['question answered'])
  })

  test('that nobody listens to are given up at once', async () => {
    const { bus } = open()
    const answers = ask(bus, 'ask.a')
    expect(answers).toEqual([])
    await settle()
    expect(answers).toEqual([undefined])
  })

  test('that nobody answers are given up after their time, and a late answer is dropped', async () => {
    const { bus, clock } = open()
    const replies: ((message: BusMessage) => void)[] = []
    bus.subscribe('ask', ({ reply }) => reply && replies.push(reply))
    const answers = ask(bus, 'ask', 1_000)
    await settle()
    clock.advance(999)
    expect(answers).toEqual([])
    clock.advance(200)
    expect(answers).toEqual([undefined])
    replies[0]?.({ head: 'late' })
    await settle()
    expect(answers).toEqual([undefined])
  })

  test('an answer arrives before a message that was published after it', async () => {
    const { bus } = open()
    const log: string[] = []
    bus.subscribe('frames', () => log.push('frame'))
    bus.subscribe('ask', ({ reply }) => {
      reply?.({ head: 1 })
      bus.publish('frames', { head: 2 })
    })
    bus.request('ask', { head: 0 }, { timeoutMs: 10 }, () => log.push('answer'))
    await settle()
    expect(log).toEqual(['answer', 'frame'])
  })

  test('an asker that throws is reported and costs nobody their answer', async () => {
    const { bus, clock, errors } = open()
    bus.subscribe('silent', () => {})
    const sick = () => {
      throw new Error('sick')
    }
    bus.request('silent', { head: 0 }, { timeoutMs: 100 }, sick)
    const answers = ask(bus, 'silent', 100)
    const later = ask(bus, 'silent', 5_000)
    await settle()
    clock.advance(1_000)
    expect(errors).toEqual(['answer: sick'])
    expect(answers).toEqual([undefined])
    clock.advance(5_000)
    expect(later).toEqual([undefined])
  })

  test('closing gives up what is open, and leaves no timer', async () => {
    const { bus, clock } = open()
    bus.subscribe('ask', () => {})
    const answers = ask(bus, 'ask')
    await settle()
    bus.close()
    expect(answers).toEqual([undefined])
    expect(clock.nextAt()).toBeUndefined()
  })

  test('a publish carries no reply', async () => {
    const { bus } = open()
    const seen: boolean[] = []
    bus.subscribe('a', ({ reply }) => seen.push(reply === undefined))
    bus.publish('a', { head: 1 })
    await settle()
    expect(seen).toEqual([true])
  })
})
