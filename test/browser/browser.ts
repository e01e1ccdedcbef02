// A real browser for tests of pages: Debian's Chromium, without a window.
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { type Browser, type BrowserContext, type BrowserContextOptions, chromium, type Page } from 'playwright-core'

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

type AxeResults = {
  readonly violations: readonly {
    readonly id: string
    readonly help: string
    readonly nodes: readonly { readonly html: string; readonly failureSummary?: string }[]
  }[]
}

/** What axe finds wrong with a page: names, roles, order of headings, contrast of text. */
export async function findBarriers(page: Page): Promise<string[]> {
  await page.evaluate(axe)
  const { violations } = await page.evaluate<AxeResults>(`axe.run({ resultTypes: ['violations'] })`)
  return violations.flatMap(({ id, help, nodes }) =>
    nodes.map(({ html, failureSummary }) => `${id}: ${help}: ${html.slice(0, 200)}: ${failureSummary}`),
  )
}

/** In the browser: every text that is seen, with a contrast below what WCAG asks for of texts of any size (1.4.3). */
const paleTexts = `(() => {
  const numbers = (color) => color.match(/[\\d.]+/g).map(Number)
  const rgba = (color) => {
    const [r, g, b, alpha = 1] = numbers(color)
    return color.startsWith('color(srgb') ? [r * 255, g * 255, b * 255, alpha] : [r, g, b, alpha]
  }
  const over = ([r, g, b, alpha], below) => [r, g, b].map((each, index) => each * alpha + below[index] * (1 - alpha))
  const backgroundOf = (element) => {
    const own = rgba(getComputedStyle(element).backgroundColor)
    if (own[3] === 1) return own.slice(0, 3)
    return over(own, element.parentElement ? backgroundOf(element.parentElement) : [255, 255, 255])
  }
  const light = (color) => {
    const [r, g, b] = color.map((each) => each / 255).map((each) => (each <= 0.04045 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4))
    return 0.2126 * r + 0.7152 * g + 0.0722 * b
  }
  return [...document.querySelectorAll('body *')].flatMap((element) => {
    const text = [...element.childNodes].filter(({ nodeType }) => nodeType === Node.TEXT_NODE).map(({ data }) => data.trim()).join('')
    if (text === '' || !element.checkVisibility() || element.closest('script, style, .sr')) return []
    const background = backgroundOf(element)
    const [high, low] = [light(over(rgba(getComputedStyle(element).color), background)), light(background)].sort((a, b) => b - a)
    const contrast = (high + 0.05) / (low + 0.05)
    return contrast < 4.5 ? [contrast.toFixed(2) + ': ' + element.className + ': ' + text.slice(0, 60)] : []
  })
})()`

export const findPaleTexts = (page: Page): Promise<string[]> => page.evaluate<string[]>(paleTexts)

/** Pages from files, each in a browser of its own state. What a page logs, loads or fails with is collected: it is to do none of it. */
export class PageBrowser implements AsyncDisposable {
  readonly #browser: Browser
  readonly #dir = mkdtempSync(join(tmpdir(), 'causeway-page-'))
  readonly #path = join(this.#dir, 'page.html')
  readonly #url = pathToFileURL(this.#path).href
  readonly troubles: string[] = []

  private constructor(browser: Browser) {
    this.#browser = browser
  }

  static async start(): Promise<PageBrowser> {
    // the pages are our own files, and root has no sandbox; containers have little shared memory
    const args = ['--no-sandbox', '--disable-dev-shm-usage']
    return new PageBrowser(await chromium.launch({ executablePath: '/usr/bin/chromium', args }))
  }

  /** A page that is there, with other content. */
  async show(page: Page, html: string): Promise<void> {
    writeFileSync(this.#path, html)
    await page.goto(this.#url)
  }

  async open(html: string, options: BrowserContextOptions = {}): Promise<Page> {
    const page = await this.#newPage((url) => url === this.#url, options)
    await this.show(page, html)
    return page
  }

  /** A page of a server, from which alone it may load. */
  async visit(url: string, options: BrowserContextOptions = {}): Promise<Page> {
    const { origin } = new URL(url)
    const page = await this.#newPage((each) => new URL(each).origin === origin, options)
    await page.goto(url)
    return page
  }

  /** What tabs share: storage and connections. */
  async window(): Promise<BrowserContext> {
    return this.#browser.newContext({ reducedMotion: 'reduce' })
  }

  /** A tab of a window, of the server at this address. */
  async tab(window: BrowserContext, url: string): Promise<Page> {
    const { origin } = new URL(url)
    const page = this.#watched(await window.newPage(), (each) => new URL(each).origin === origin)
    await page.goto(url)
    return page
  }

  async #newPage(mayLoad: (url: string) => boolean, options: BrowserContextOptions): Promise<Page> {
    return this.#watched(await this.#browser.newPage({ reducedMotion: 'reduce', ...options }), mayLoad)
  }

  #watched(page: Page, mayLoad: (url: string) => boolean): Page {
    page.setDefaultTimeout(5_000)
    page.on('console', (message) => this.troubles.push(`console: ${message.text()}`))
    page.on('pageerror', (error) => this.troubles.push(`error: ${error.message}`))
    page.on('request', (request) => {
      if (!mayLoad(request.url())) this.troubles.push(`request: ${request.url()}`)
    })
    page.on('dialog', (dialog) => {
      this.troubles.push(`dialog: ${dialog.message()}`)
      void dialog.dismiss()
    })
    return page
  }

  assertQuiet(): void {
    assert.deepEqual(this.troubles.splice(0), [])
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#browser.close()
    rmSync(this.#dir, { recursive: true, force: true })
  }
}
