/** How far the way to a worker is: told to people as "compiling 17 of 29". */

export type Progress = {
  /** A few words: "asking for the official build", "compiling". */
  what: string
  step: number
  ofSteps: number
}

export type OnProgress = (progress: Progress) => void

/** "media worker: compiling, 17 of 29 (58 %)" */
export function inWords({ what, step, ofSteps }: Progress): string {
  return ofSteps > 1 ? `${what}, ${step} of ${ofSteps} (${Math.floor((step / ofSteps) * 100)} %)` : what
}
