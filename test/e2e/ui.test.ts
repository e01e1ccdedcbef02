// `causeway ui` on a lab, in a real browser: the page comes up, a fault is seen within seconds and told by doctor, a trace is run and walks.
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { after, before, suite, test } from 'node:test'
import { type Browser, chromium, type Page } from 'playwright-core'
import { type LiveLine, type NodeRow } from '#/ui/contract.ts'
import { causeway, must, run, TestLab } from './harness.ts'

/** A machine that runs other tests too takes its time; what is waited for comes within some seconds on one that does not. */
const patienceMs = 30_000

class Ui implements AsyncDisposable {
  readonly #child: ChildProcess
  readonly address: string

  private constructor(child: ChildProcess, address: string) {
    this.#child = child
    this.address = address
  }

  static async start(...options: readonly string[]): Promise<Ui> {
    const child = spawn(causeway, ['ui', '--port', '0', ...options], { stdio: ['ignore', 'pipe', 'inherit'] })
    let printed = ''
    for await (const chunk of child.stdout as AsyncIterable<Buffer>) {
      printed += chunk.toString()
      const [address] = /http:\/\/127\.0\.0\.1:\d+\/#token=[\w-]{43}\n/.exec(printed) ?? []
      if (address !== undefined) return new Ui(child, address.trim())
    }
    throw new Error(`causeway ui ended: ${printed}`)
  }

  /** Ctrl-C; returns the exit status. */
  async end(): Promise<unknown> {
    const ended = once(this.#child, 'exit')
    this.#child.kill('SIGINT')
    const [status] = (await ended) as unknown[]
    return status
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) await this.end()
  }
}

async function openPage(browser: Browser, address: string, troubles: string[]): Promise<Page> {
  const page = await browser.newPage({ reducedMotion: 'reduce' })
  page.setDefaultTimeout(patienceMs)
  page.on('console', (message) => {
    // what the browser says of an answer of 400 and more, and of a server that is gone
    if (!message.text().startsWith('Failed to load resource')) troubles.push(message.text())
  })
  page.on('pageerror', (error) => troubles.push(error.message))
  page.on('request', (request) => {
    if (!request.url().startsWith(new URL(address).origin)) troubles.push(`request: ${request.url()}`)
  })
  await page.goto(address)
  return page
}

/** The rows that the page gets first, once all nodes were asked. */
async function rowsAt(address: string): Promise<Map<string, NodeRow>> {
  const { origin, hash } = new URL(address)
  const authorization = `Bearer ${hash.replace('#token=', '')}`
  const response = await fetch(`${origin}/api/live`, { headers: { authorization } })
  const rows = new Map<string, NodeRow>()
  let rest = ''
  for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
    const lines = `${rest}${chunk}`.split('\n')
    rest = lines.pop()!
    for (const text of lines.filter(Boolean)) {
      const line = JSON.parse(text) as LiveLine
      const told = line.kind === 'all' ? line.nodes : line.kind === 'nodes' ? line.changed : []
      for (const row of told) rows.set(row.name, row)
    }
    if (rows.size > 0 && [...rows.values()].every(({ state }) => state !== 'unknown')) break
  }
  return rows
}

const shows = (page: Page, text: RegExp, where = 'body'): Promise<void> =>
  page.locator(where, { hasText: text }).first().waitFor()

suite('causeway ui', { timeout: 240_000 }, () => {
  const lab = new TestLab()
  before(() => {
    lab.up('--nodes', '3', '--pods', '1')
  })
  after(() => lab[Symbol.dispose]())

  test('a cluster is looked at through its API server, and a port that is taken is told', async () => {
    await using ui = await Ui.start('--kubeconfig', lab.kubeconfig)
    const rows = await rowsAt(ui.address)
    assert.deepEqual(
      [...rows.values()]
        .toSorted((a, b) => (a.name < b.name ? -1 : 1))
        .map(({ name, state, pods }) => [name, state, pods]),
      [
        ['node-1', 'ready', 1],
        ['node-2', 'ready', 1],
        ['node-3', 'ready', 1],
      ],
    )
    const { port } = new URL(ui.address)
    const taken = run(causeway, ['ui', '--lab', lab.name, '--port', port])
    assert.equal(taken.status, 2)
    assert.match(taken.stderr, /^causeway: --port \d+: another process has it \("ss -ltnp sport = :\d+" tells which\)/)
    assert.equal(await ui.end(), 0)
  })

  test('the page shows a lab as it is: whole, broken, followed, mended', async () => {
    await using ui = await Ui.start('--lab', lab.name)
    const browser = await chromium.launch({
      executablePath: '/usr/bin/chromium',
      args: ['--no-sandbox', '--disable-dev-shm-usage'],
    })
    try {
      const troubles: string[] = []
      const page = await openPage(browser, ui.address, troubles)
      await shows(page, /3 nodes, packets cross everywhere/)
      assert.equal(new URL(page.url()).hash.includes('token'), false, 'the token is off the address bar')
      await shows(page, /packets between pods of 3 nodes came and were answered/)

      must(causeway, 'lab', 'break', 'overlay-port-blocked', '--node', 'node-2', '--name', lab.name, '--quiet')
      const brokenMs = performance.now()
      await shows(page, /node-2/, 'h1')
      const seenMs = performance.now() - brokenMs
      assert.ok(seenMs < 15_000, `seen after ${Math.round(seenMs)} ms`)
      await shows(page, /CW1306/)

      // an address that somebody passes on
      await page.goto(`${new URL(ui.address).origin}/#/trace?from=default%2Fweb-1&to=default%2Fweb-2`)
      await page.click('button[type=submit]')
      await page.waitForSelector('.ladder .station.seen')
      await shows(page, /lost/i)

      assert.equal(run(causeway, ['lab', 'mend', '--name', lab.name]).status, 0)
      await page.click('button[type=submit]')
      // there and back, and the packet walks along all of it
      await page.locator('.ladder .station.seen').nth(15).waitFor()
      assert.equal(await page.locator('.ladder .end').count(), 0)
      await page.click('#step-last')
      const count = (await page.locator('#count').textContent()) ?? ''
      assert.match(count, /^(\d+) of \1$/)
      await page.click('#step-first')
      await page.keyboard.press('ArrowRight')
      await shows(page, /^2 of/, '#count')
      await page.goto(`${new URL(ui.address).origin}/#/`)
      await shows(page, /3 nodes, packets cross everywhere/)
      assert.deepEqual(troubles, [])

      assert.equal(await ui.end(), 0)
      await shows(page, /3 nodes/)
    } finally {
      await browser.close()
    }
  })
})
