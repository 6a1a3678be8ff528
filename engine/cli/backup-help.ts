/** What `livehouse backup` and `livehouse restore` say of themselves; apart, so that help loads no database. */

export const backupHelp = (): string => `livehouse backup PATH [--data-dir DIR] [--admin ADDRESS] [--config FILE]

Copies the ledger, the rooms, what operators decided, the databases of plugins and the secret to PATH: a new folder, or one file when
PATH ends with .tar. An engine may run meanwhile. The copy is of the moment at which each file was begun, the ledger last, and is
looked through with the invariants of the audit before it gets its name.

  --data-dir DIR    the data folder of the engine (.livehouse)
  --admin ADDRESS   its admin port, when it runs (default: the one in the configuration, http://127.0.0.1:8081)
  --config FILE     the configuration of serve

Whoever has the backup has the secret of the engine: keep it where you keep secrets. Recordings and other files that are no databases
are not in it; they are named when it is done.

Examples
  livehouse backup /backups/monday
  livehouse backup /backups/monday.tar --data-dir /var/lib/livehouse
  livehouse restore /backups/monday.tar --data-dir /var/lib/livehouse-2`

export const restoreHelp = (): string => `livehouse restore PATH [--data-dir DIR] [--admin ADDRESS] [--config FILE]

Makes a data folder from a backup: a folder, or a .tar file. Checksums, the databases and the invariants of the ledger are looked at
first; a damaged backup is refused, and nothing is left behind.

  --data-dir DIR    where to: a folder that does not exist, or is empty (.livehouse)
  --admin ADDRESS   admin port of an engine that may run there (default: the one in the configuration)
  --config FILE     the configuration of serve

Examples
  livehouse restore /backups/monday --data-dir /var/lib/livehouse-2
  mv .livehouse .livehouse.old && livehouse restore /backups/monday.tar`
