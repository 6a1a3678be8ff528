/** Entry of the thread that makes one backup. `backup.ts` starts it. */
import { type BackupReport, type BackupTask, backupLedger } from './backup.ts'
import { serve } from './thread.ts'

serve<object, BackupTask, BackupReport>(() => ({ handle: backupLedger, close: () => {} }))
