/** The plugin of the bench: a guard on danmaku that decides from memory, the same in every place. */
import { definePlugin } from '../../engine/plugin/define.ts'
import { allow, deny } from '../../engine/plugin/hooks.ts'

export const budgetMs = 50

export default definePlugin({
  name: 'bench-guard',
  version: '1.0.0',
  guards: {
    'danmaku.send': {
      order: 1,
      budgetMs,
      onFailure: 'open',
      run: ({ d }) => (d.text.startsWith('forbidden') ? deny('content.rejected') : allow),
    },
  },
})
