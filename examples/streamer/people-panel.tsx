/** Who is muted or out, and who helps. Read anew whenever an event says that it changed. */
import type { CommandInput, CommandReply, RoomEvents, RoomView } from 'livehouse/client'
import { useCallback, useEffect, useState } from 'preact/hooks'
import { Names } from '../kit/names.ts'
import { untilWords } from '../kit/words.ts'
import type { PanelProps } from './room-panels.tsx'

type Restrictions = CommandReply<'room.list_restrictions'>
type Restriction = Restrictions['mutes'][number]
type GrantRole = CommandInput<'room.grant_role'>

const changes = [
  'room.user_muted',
  'room.user_unmuted',
  'room.user_kicked',
  'room.role_changed',
  'resync',
  'resumed',
] as const satisfies (keyof RoomEvents)[]
const rowsShownMax = 100
const roles: { role: GrantRole['role']; label: string }[] = [
  { role: 'admin', label: 'Moderator' },
  { role: 'controller', label: 'Control' },
  { role: 'assistant', label: 'Assistant' },
]

export function PeoplePanel({ room, state, act }: PanelProps) {
  const names = useNames(room)
  const nameOf = (userId: string) => (userId === state.me.userId ? state.me.name : undefined) || names.of(userId)
  const [{ mutes, bans, roles: staff }, refresh] = useRestrictions(room)
  const lift = (done: string, call: () => Promise<unknown>) => void act(done, call).then(refresh)
  return (
    <section class="panel" aria-label="People" data-testid="people">
      <h2>Muted and removed</h2>
      {mutes.length + bans.length === 0 && <p class="hint">Nobody. A peaceful room.</p>}
      <ul class="people">
        {mutes.slice(0, rowsShownMax).map((mute) => (
          <Line
            key={`m${mute.userId}`}
            restriction={mute}
            name={nameOf(mute.userId)}
            what="muted"
            onLift={() => lift('The mute is lifted.', () => room.call('room.unmute', { userId: mute.userId }))}
          />
        ))}
        {bans.slice(0, rowsShownMax).map((ban) => (
          <Line
            key={`b${ban.userId}`}
            restriction={ban}
            name={nameOf(ban.userId)}
            what="out"
            onLift={() => lift('The ban is lifted.', () => room.call('room.unban', { userId: ban.userId }))}
          />
        ))}
      </ul>
      <h2>Team</h2>
      <ul class="people">
        {staff.map(({ userId, role }) => (
          <li key={userId + role}>
            <span>
              <Who userId={userId} name={nameOf(userId)} />
              <small>{roles.find((each) => each.role === role)?.label ?? role}</small>
            </span>
            <button
              type="button"
              onClick={() =>
                lift('The role is taken back.', () => room.call('room.revoke_role', { userId, role: role as GrantRole['role'] }))
              }
              data-testid="revoke"
            >
              Take back
            </button>
          </li>
        ))}
      </ul>
      <GrantForm onGrant={(grant) => lift('The role is given.', () => room.call('room.grant_role', grant))} />
    </section>
  )
}

/** The name with the id beneath, or the id alone for somebody this page never saw. */
function Who({ userId, name }: { userId: string; name: string | undefined }) {
  return (
    <>
      <b title={userId}>{name ?? userId}</b>
      {name !== undefined && <small class="user-id">{userId}</small>}
    </>
  )
}

interface LineProps {
  restriction: Restriction
  name: string | undefined
  what: string
  onLift: () => void
}
function Line({ restriction, name, what, onLift }: LineProps) {
  const words = `${what} ${untilWords(restriction.untilAt)}${restriction.reason && `: ${restriction.reason}`}`
  return (
    <li data-testid="restriction" data-user={restriction.userId}>
      <span>
        <Who userId={restriction.userId} name={name} />
        <small title={words}>{words}</small>
      </span>
      <button type="button" onClick={onLift} data-testid="lift">
        Lift
      </button>
    </li>
  )
}

function GrantForm({ onGrant }: { onGrant: (grant: GrantRole) => void }) {
  const [userId, setUserId] = useState('')
  const [role, setRole] = useState<GrantRole['role']>('admin')
  const submit = (event: Event) => {
    event.preventDefault()
    if (!userId.trim()) return
    onGrant({ userId: userId.trim(), role })
    setUserId('')
  }
  return (
    <form class="inline" onSubmit={submit}>
      <input
        type="text"
        value={userId}
        maxLength={64}
        pattern="[A-Za-z0-9_-]+"
        placeholder="User id"
        aria-label="User id"
        onInput={(event) => setUserId(event.currentTarget.value)}
        data-testid="grant-user"
      />
      <select
        value={role}
        aria-label="Role"
        onChange={(event) => setRole(event.currentTarget.value as GrantRole['role'])}
        data-testid="grant-role"
      >
        {roles.map((each) => (
          <option key={each.role} value={each.role}>
            {each.label}
          </option>
        ))}
      </select>
      <button type="submit" disabled={!userId.trim()} data-testid="grant">
        Give
      </button>
    </form>
  )
}

function useNames(room: RoomView): Names {
  const [names] = useState(() => new Names())
  useEffect(() => names.follow(room), [room])
  return names
}

function useRestrictions(room: RoomView): [Restrictions, () => void] {
  const [lists, setLists] = useState<Restrictions>({ mutes: [], bans: [], roles: [] })
  const refresh = useCallback(() => {
    // A refusal leaves the lists as they were; the next change asks again.
    room.call('room.list_restrictions', {}).then(setLists, () => undefined)
  }, [room])
  useEffect(() => {
    refresh()
    const offs = changes.map((name) => room.on(name, refresh))
    return () => {
      for (const off of offs) off()
    }
  }, [room])
  return [lists, refresh]
}
