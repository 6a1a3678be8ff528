/** One way to run a command from a button: while it runs nothing is lost, afterwards a line says what came of it. */
import { useCallback, useEffect, useState } from 'preact/hooks'
import { Icon } from '../kit/parts.tsx'
import { explainError, waitWords } from '../kit/words.ts'

export interface NoticeText {
  good: boolean
  text: string
}
/** Runs `call`; `done` is said when it worked. Gives whether it did. */
export type Act = (done: string, call: () => Promise<unknown> | undefined) => Promise<boolean>

const noticeMs = 4_000

interface Acts {
  act: Act
  /** How many were run: what nobody is told of is looked for anew after each. */
  acts: number
  say: (text: string) => void
  notice: NoticeText | undefined
  dismiss: () => void
}

export function useAct(): Acts {
  const [notice, setNotice] = useState<NoticeText>()
  const [acts, setActs] = useState(0)
  useEffect(() => {
    if (!notice?.good) return
    const timer = setTimeout(() => setNotice(undefined), noticeMs)
    return () => clearTimeout(timer)
  }, [notice])
  const act = useCallback<Act>(async (done, call) => {
    try {
      await call()
      setNotice({ good: true, text: done })
      return true
    } catch (error) {
      const { text, waitMs } = explainError(error)
      setNotice({ good: false, text: waitMs === undefined ? text : `${text} ${waitWords(waitMs)}.` })
      return false
    } finally {
      setActs((before) => before + 1)
    }
  }, [])
  const say = useCallback((text: string) => setNotice({ good: false, text }), [])
  return { act, acts, say, notice, dismiss: () => setNotice(undefined) }
}

export function Notice({ notice, onDismiss }: { notice: NoticeText | undefined; onDismiss: () => void }) {
  return (
    <div class="notice-bar" role="status" aria-live="polite">
      {notice && (
        <p class={notice.good ? 'good' : 'bad'} data-testid="act-notice">
          {notice.text}
          <button type="button" class="tool small" onClick={onDismiss} aria-label="Dismiss">
            <Icon name="close" />
          </button>
        </p>
      )}
    </div>
  )
}
