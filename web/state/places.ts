// Browsers open six connections to one address, for all tabs together. Each tab that follows the live lines holds one: of those that are hidden a few
// may, so that the others, and what they ask for, get through.

const hiddenTabs = ['causeway-hidden-1', 'causeway-hidden-2']

/** Of a hidden tab that follows the lines: gives its place to another one. */
let give: (() => void) | undefined

function takeOne(name: string): Promise<boolean> {
  return new Promise((resolve) => {
    void navigator.locks.request(name, { ifAvailable: true }, (lock) => {
      resolve(lock !== null)
      if (lock === null) return undefined
      // the place is kept until this promise ends, or the tab does
      return new Promise<void>((end) => {
        give = end
      })
    })
  })
}

async function take(): Promise<boolean> {
  if (give !== undefined) return true
  // older browsers, and addresses that are not of this computer, have no locks
  if (!('locks' in navigator)) return false
  for (const name of hiddenTabs) if (await takeOne(name)) return true
  return false
}

function seen(): Promise<void> {
  return new Promise((resolve) => {
    const look = (): void => {
      if (document.hidden) return
      document.removeEventListener('visibilitychange', look)
      resolve()
    }
    document.addEventListener('visibilitychange', look)
  })
}

let taking: Promise<boolean> | undefined

/** Whether this tab may hold a connection open: somebody sees it, or there is a place for a hidden one. */
async function mayFollow(): Promise<boolean> {
  if (document.hidden) {
    taking ??= take().finally(() => (taking = undefined))
    const isTaken = await taking
    // it may be seen again meanwhile
    if (document.hidden) return isTaken
  }
  give?.()
  give = undefined
  return true
}

/** Resolves when this tab may hold a connection; `onWait` is called where it has to wait until somebody looks at it. */
export async function untilPlace(onWait: () => void): Promise<void> {
  if (await mayFollow()) return
  onWait()
  await seen()
}

/** Calls back when it may hold it no more. Returns what ends that. */
export function watchPlace(onLost: () => void): () => void {
  const check = (): void => {
    void mayFollow().then((may) => {
      if (!may) onLost()
    })
  }
  document.addEventListener('visibilitychange', check)
  return () => document.removeEventListener('visibilitychange', check)
}
