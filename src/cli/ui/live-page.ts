// Tells one page of what changes. A page that does not read keeps nothing waiting but the names of what it does not know yet: when it reads again, it
// gets the rows as they are then.
import { type ServerResponse } from 'node:http'
import { constants, createGzip, type Gzip } from 'node:zlib'
import { allLine, doctorLine, failureLine, nodesLine } from '#/ui/lines.ts'
import { type Hub, type News } from './hub.ts'

/** So often a line is sent at least, which may be empty. */
const beatMs = 2_000
/** A page that has read nothing for so long is given up. */
const stalledMs = 60_000

/** What the page was not told because it did not read. `isRound`: nodes were asked, which ends a failure also where no row has changed. */
type Missed = { readonly names: Set<string>; isRound: boolean; isDoctor: boolean; isFailure: boolean }

const nothing = (): Missed => ({ names: new Set(), isRound: false, isDoctor: false, isFailure: false })

/** What a page is told of, and by whom. */
type Source = Pick<Hub, 'picture' | 'state' | 'listen'>

export class LivePage implements Disposable {
  readonly #hub: Source
  readonly #response: ServerResponse
  readonly #gzip: Gzip | undefined
  readonly #listening: Disposable
  readonly #beat: NodeJS.Timeout
  readonly #onEnd: () => void
  #missed = nothing()
  #behindSinceMs: number | undefined
  #isEnded = false

  /** `onEnd` is called once, when the page is gone or given up. */
  static open(hub: Source, response: ServerResponse, options: { isGzip: boolean; onEnd: () => void }): LivePage {
    return new LivePage(hub, response, options)
  }

  private constructor(
    hub: Source,
    response: ServerResponse,
    { isGzip, onEnd }: { isGzip: boolean; onEnd: () => void },
  ) {
    this.#hub = hub
    this.#response = response
    this.#onEnd = onEnd
    response.writeHead(200, {
      'content-type': 'application/x-ndjson; charset=utf-8',
      'cache-control': 'no-store',
      ...(isGzip && { 'content-encoding': 'gzip' }),
    })
    if (isGzip) {
      this.#gzip = createGzip({ level: 4 })
      this.#gzip.pipe(response)
      this.#gzip.on('error', () => this[Symbol.dispose]())
    }
    const out = this.#gzip ?? response
    out.on('drain', () => this.#catchUp())
    response.on('close', () => this[Symbol.dispose]())
    response.on('error', () => this[Symbol.dispose]())
    this.#listening = hub.listen((news) => this.#tell(news))
    this.#write(allLine(hub.picture, hub.state))
    this.#beat = setInterval(() => this.#keepAlive(), beatMs)
  }

  #write(line: string): void {
    if (this.#isEnded) return
    const isTaken = (this.#gzip ?? this.#response).write(`${line}\n`)
    this.#gzip?.flush(constants.Z_SYNC_FLUSH)
    if (!isTaken) this.#behindSinceMs ??= performance.now()
  }

  #keepAlive(): void {
    if (this.#behindSinceMs === undefined) this.#write('')
    else if (performance.now() - this.#behindSinceMs > stalledMs) this[Symbol.dispose]()
  }

  #tell(news: News): void {
    if (this.#behindSinceMs !== undefined) {
      this.#note(news)
      return
    }
    switch (news.kind) {
      case 'nodes':
        return this.#write(nodesLine(this.#hub.picture, news.names, this.#hub.state))
      case 'doctor':
        return this.#writeDoctor()
      case 'failure':
        return this.#write(failureLine(news.message))
      default:
        return news satisfies never
    }
  }

  #writeDoctor(): void {
    const { doctor } = this.#hub.state
    if (doctor) this.#write(doctorLine(doctor))
  }

  #note(news: News): void {
    if (news.kind === 'nodes') {
      this.#missed.isRound = true
      for (const name of news.names) this.#missed.names.add(name)
    } else if (news.kind === 'doctor') this.#missed.isDoctor = true
    else this.#missed.isFailure = true
  }

  /** The page has read what was sent. */
  #catchUp(): void {
    if (this.#behindSinceMs === undefined) return
    this.#behindSinceMs = undefined
    const { names, isRound, isDoctor, isFailure } = this.#missed
    this.#missed = nothing()
    const { state } = this.#hub
    if (isRound) this.#write(nodesLine(this.#hub.picture, names, state))
    if (isDoctor) this.#writeDoctor()
    // one that has ended needs no telling: rows came after it
    if (isFailure && state.failure !== undefined) this.#write(failureLine(state.failure))
  }

  [Symbol.dispose](): void {
    if (this.#isEnded) return
    this.#isEnded = true
    clearInterval(this.#beat)
    this.#listening[Symbol.dispose]()
    this.#gzip?.destroy()
    this.#response.destroy()
    this.#onEnd()
  }
}
