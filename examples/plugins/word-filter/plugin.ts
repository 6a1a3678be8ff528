/**
 * A word filter: some words are refused, others are shown as stars. Which, the operator decides in the settings.
 *
 * It shows a guard beside a transform, settings that may change at any time, and work kept in a pure file with tests of its own.
 * Cost: one look at the settings and one search per danmaku, about 2 us for 100 words.
 *
 *     npx livehouse plugin dev examples/plugins/word-filter/plugin.ts
 */
import { allow, definePlugin, deny, shadow, Type } from 'livehouse/plugin'
import { mask, type WordFinder, wordFinder } from './words.ts'

const Words = Type.Array(Type.String({ minLength: 1, maxLength: 40 }), { maxItems: 1_000, default: [] })

/** The settings are a new object when they have changed: words are prepared once for each. */
function preparedBy(words: (settings: Settings) => readonly string[]): (settings: Settings) => WordFinder {
  let from: Settings | undefined
  let finder: WordFinder = () => undefined
  return (settings) => {
    if (from !== settings) finder = wordFinder(words(settings))
    from = settings
    return finder
  }
}
interface Settings {
  refused: string[]
  masked: string[]
  quietly: boolean
}
const refused = preparedBy((settings) => settings.refused)
const masked = preparedBy((settings) => settings.masked)

export default definePlugin({
  name: 'word-filter',
  version: '1.0.0',
  description: 'Refuses some words and hides others behind stars.',
  settings: Type.Object({
    refused: Words,
    masked: Words,
    quietly: Type.Boolean({ default: false, description: 'Show a refused danmaku to its sender alone, instead of saying no.' }),
  }),

  guards: {
    'danmaku.send': {
      order: 100,
      budgetMs: 50,
      // A room without its filter for a moment is better than a silent room.
      onFailure: 'open',
      run({ d }, { settings, metrics }) {
        if (!refused(settings)(d.text)) return allow
        metrics.add('refused')
        return settings.quietly ? shadow : deny('content.rejected', 'That word is not for this room.')
      },
    },
  },

  transforms: {
    'danmaku.send': {
      order: 100,
      budgetMs: 50,
      run({ d }, { settings }) {
        const text = mask(d.text, masked(settings))
        return text === d.text ? undefined : { text }
      },
    },
  },
})
