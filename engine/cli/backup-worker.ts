/** The thread that copies the data folder of a running engine. `admin/backups.ts` starts it, and reads in shared memory how far it is. */
import { serve } from '../ledger/thread.ts'
import { type CopyFolder, copyDataFolder, type ManifestShape } from './backup-copy.ts'
import { Progress } from './backup-progress.ts'

serve<{ shared: SharedArrayBuffer }, Omit<CopyFolder, 'onStep'>, ManifestShape>(({ shared }) => {
  const progress = new Progress(shared)
  return { handle: (task) => copyDataFolder({ ...task, onStep: (...step) => progress.put(...step) }), close: () => {} }
})
