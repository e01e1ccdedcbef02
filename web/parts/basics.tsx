// What all views are made of: signs whose form says what their colour says, times that go on, links to nodes.
import { type ComponentChildren, type JSX } from 'preact'
import { useEffect, useState } from 'preact/hooks'
import { to } from '../state/route.ts'
import { commandNow } from '../state/store.ts'
import { agoText, type Tone } from '../derive/words.ts'

/** For those who see neither form nor colour the words beside it say the same. */
export const Sign = (): JSX.Element => <span class="sign" aria-hidden="true" />

/** A state in words with its sign. */
export const Told = ({ tone, children }: { tone: Tone; children: ComponentChildren }): JSX.Element => (
  <span class={`told ${tone}`}>
    <Sign />
    <span>{children}</span>
  </span>
)

/** This moment by the command's clock, every second. */
export function useNow(): number {
  const [now, set] = useState(commandNow())
  useEffect(() => {
    const timer = setInterval(() => set(commandNow()), 1000)
    return () => clearInterval(timer)
  }, [])
  return now
}

export const Ago = ({ ms }: { ms: number }): JSX.Element => <>{agoText(useNow() - ms)}</>

export const NodeLink = ({ name }: { name: string }): JSX.Element => (
  <a class="name" href={to.node(name)}>
    {name}
  </a>
)

/** Names with commas between. */
export const NodeLinks = ({ names, most = 8 }: { names: readonly string[]; most?: number }): JSX.Element => (
  <>
    {names.slice(0, most).map((name, index) => (
      <>
        {index > 0 && ', '}
        <NodeLink name={name} />
      </>
    ))}
    {names.length > most && ` and ${names.length - most} more`}
  </>
)

/** A name and what it has, where there is anything. */
export const Fact = ({ name, children }: { name: string; children: ComponentChildren }): JSX.Element | null =>
  children === undefined || children === '' || children === false ? null : (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  )

export const Loading = ({ what }: { what: string }): JSX.Element => (
  <p class="loading">
    <span class="spinner" aria-hidden="true" />
    {what}
  </p>
)

/** What is shown is an answer of before: there is no newer one. */
export const NoNews = ({ why, atMs }: { why: string; atMs: number }): JSX.Element => (
  <p class="told unknown">
    <Sign />
    <span>
      No news for <Ago ms={atMs} />: {why}
    </span>
  </p>
)

export const Trouble = ({ title, why }: { title: string; why: string }): JSX.Element => (
  <section class="verdict bad" role="alert">
    <Sign />
    <div>
      <h2>{title}</h2>
      <p class="why">{why}</p>
    </div>
  </section>
)

/** A rack or a zone, some of which are named as such already. */
export const Place = ({ word, name }: { word: string; name: string }): JSX.Element => (
  <>
    {word} <b>{name.startsWith(`${word} `) ? name.slice(word.length + 1) : name}</b>
  </>
)

/** A heading that breaks between words, not after the hyphen of a name. */
export const Words = ({ text }: { text: string }): JSX.Element => (
  <>
    {text.split(' ').map((word, index) => (
      <>
        {index > 0 && ' '}
        <span class="word">{word}</span>
      </>
    ))}
  </>
)
