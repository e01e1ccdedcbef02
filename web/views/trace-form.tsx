// Who sends to whom: pods are found by parts of their names.
import { type JSX } from 'preact'
import { useEffect, useState } from 'preact/hooks'
import { type PodsFound, type TraceWishBody } from '#/ui/contract.ts'
import { askJson } from '../state/ask.ts'

type Pod = PodsFound['pods'][number]

const pauseMs = 150

/** Pods whose names hold a text, a moment after the last key. */
function usePods(text: string): readonly Pod[] {
  const [pods, set] = useState<readonly Pod[]>([])
  useEffect(() => {
    const ending = new AbortController()
    const timer = setTimeout(() => {
      askJson<PodsFound>(`pods?q=${encodeURIComponent(text)}`, { signal: ending.signal }).then(
        ({ pods: found }) => set(found),
        // completion is a help: without it a name can be typed
        () => {},
      )
    }, pauseMs)
    return () => {
      clearTimeout(timer)
      ending.abort()
    }
  }, [text])
  return pods
}

type EndProps = {
  readonly id: string
  readonly label: string
  readonly hint: string
  readonly value: string
  readonly onValue: (value: string) => void
}

function End({ id, label, hint, value, onValue }: EndProps): JSX.Element {
  const pods = usePods(value)
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <input
        id={id}
        type="text"
        required
        autocomplete="off"
        autocapitalize="off"
        spellcheck={false}
        list={`${id}-pods`}
        value={value}
        aria-describedby={`${id}-hint`}
        onInput={(event) => onValue(event.currentTarget.value)}
      />
      <datalist id={`${id}-pods`}>
        {pods.map(({ pod, node, addrs }) => (
          <option key={pod} value={pod}>
            {[node, ...addrs].join(', ')}
          </option>
        ))}
      </datalist>
      <p class="hint" id={`${id}-hint`}>
        {hint}
      </p>
    </div>
  )
}

const protocols = [
  ['icmp', 'ICMP echo'],
  ['tcp', 'TCP'],
  ['udp', 'UDP'],
] as const

/** A port goes with an address or a name: 10.0.0.1:80, default/web:80, [fd00::1]:80. */
const hasPort = (text: string): boolean => /(^[^:]+|\]):\d+$/.test(text)

type FormProps = {
  readonly from: string
  readonly to: string
  readonly isRunning: boolean
  readonly onStart: (wish: TraceWishBody) => void
}

export function TraceForm({ from: firstFrom, to: firstTo, isRunning, onStart }: FormProps): JSX.Element {
  const [from, setFrom] = useState(firstFrom)
  const [to, setTo] = useState(firstTo)
  const [protocol, setProtocol] = useState('')
  const [size, setSize] = useState('')
  function submit(event: Event): void {
    event.preventDefault()
    onStart({
      from: from.trim(),
      to: to.trim(),
      ...(protocol !== '' && { protocol: protocol as 'icmp' | 'tcp' | 'udp' }),
      ...(size !== '' && { sizeBytes: Number(size) }),
    })
  }
  const usual = hasPort(to.trim()) ? 'TCP' : 'ICMP'
  return (
    <form class="trace-form" onSubmit={submit}>
      <End id="from" label="From" hint="a pod as NAMESPACE/NAME, or a node" value={from} onValue={setFrom} />
      <End id="to" label="To" hint="a pod, a node, a Service or an address; :PORT for TCP" value={to} onValue={setTo} />
      <div class="field">
        <label for="protocol">Protocol</label>
        <select id="protocol" value={protocol} onChange={(event) => setProtocol(event.currentTarget.value)}>
          <option value="">usual: {usual}</option>
          {protocols.map(([value, name]) => (
            <option key={value} value={value}>
              {name}
            </option>
          ))}
        </select>
      </div>
      <div class="field short">
        <label for="size">Bytes</label>
        <input
          id="size"
          type="number"
          min={28}
          max={65535}
          placeholder="small"
          value={size}
          onInput={(event) => setSize(event.currentTarget.value)}
        />
      </div>
      <button type="submit" class="main" disabled={isRunning}>
        {isRunning ? 'On its way…' : 'Send it'}
      </button>
    </form>
  )
}
