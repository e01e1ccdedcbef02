// A button that copies a text.
import { type JSX } from 'preact'
import { useEffect, useState } from 'preact/hooks'

const toldMs = 4_000

export function Copy({ text, label, what }: { text: () => string; label: string; what?: string }): JSX.Element {
  const [told, tell] = useState<'copied' | 'failed'>()
  const [shown, show] = useState<string>()
  useEffect(() => {
    if (told !== 'copied') return
    const timer = setTimeout(() => tell(undefined), toldMs)
    return () => clearTimeout(timer)
  }, [told])
  const shownLabel = told === 'copied' ? 'Copied' : label
  async function copy(): Promise<void> {
    try {
      await navigator.clipboard.writeText(text())
      tell('copied')
    } catch {
      // a browser may forbid it: then there is the text, to be copied by hand
      show(text())
      tell('failed')
    }
  }
  return (
    <span class="copy">
      <button type="button" onClick={() => void copy()} aria-label={what && `${shownLabel}: ${what}`}>
        {shownLabel}
      </button>
      <span class="sr" role="status">
        {told === 'copied' ? 'Copied.' : ''}
      </span>
      {shown !== undefined && (
        <textarea
          readOnly
          rows={8}
          aria-label={`${label}: select and copy it by hand`}
          onFocus={(event) => event.currentTarget.select()}
        >
          {shown}
        </textarea>
      )}
    </span>
  )
}
