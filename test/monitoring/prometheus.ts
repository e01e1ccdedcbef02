// A real Prometheus on loopback, which scrapes the agents of a lab as on a cluster, with the rules of monitoring/.
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, request, type Server } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parse, stringify } from 'yaml'
import { freePort } from '#/bgp/testing/taken-port.ts'
import { LabPaths } from '#/lab/paths.ts'
import { eventually } from '../e2e/harness.ts'
import { readMonitoring } from './rules.ts'

/** A pod, as the Kubernetes API tells of it. */
export type Target = { readonly node: string; readonly ip: string; readonly phase?: string }
type Job = { kubernetes_sd_configs?: unknown; static_configs?: unknown }

/**
 * monitoring/scrape-config.yaml with these targets instead of those that the Kubernetes API tells, which Debian's Prometheus is built
 * without. They have the labels that it would give them, so that what the file makes of these is tested.
 */
export function staticConfig(targets: readonly Target[]): { scrape_configs: Job[] } {
  const config = parse(readMonitoring('scrape-config.yaml')) as { scrape_configs: Job[] }
  for (const job of config.scrape_configs) {
    assert.ok(job.kubernetes_sd_configs)
    delete job.kubernetes_sd_configs
    job.static_configs = targets.map(({ node, ip, phase = 'Running' }) => ({
      targets: [ip],
      labels: {
        __meta_kubernetes_pod_ip: ip,
        __meta_kubernetes_pod_phase: phase,
        __meta_kubernetes_pod_node_name: node,
      },
    }))
  }
  return config
}

/** The rules, with all times divided: those that alerts wait, and those that rates are of. */
export function quickRules(factor: number): string {
  const seconds = { s: 1, m: 60, h: 3600 }
  const shorter = (text: string): string =>
    text.replaceAll(/(\d+)([smh])/g, (_, count: string, unit: 's' | 'm' | 'h') => {
      const quick = Math.max(1, Math.round((Number(count) * seconds[unit]) / factor))
      return `${quick}s`
    })
  return readMonitoring('alerts.yaml').replaceAll(/^ +for: .*$|\[\w+\]/gm, shorter)
}

/** All happens each second. */
function writeConfig(dir: string, targets: readonly Target[]): void {
  const config = {
    global: { scrape_interval: '1s', scrape_timeout: '1s', evaluation_interval: '1s' },
    rule_files: [join(dir, 'alerts.yaml')],
    ...staticConfig(targets),
  }
  writeFileSync(join(dir, 'prometheus.yaml'), stringify(config))
}

/** Where agents listen on a cluster. */
const metricsPort = 9474

/** Passes what is asked for at an address of loopback on to an agent's socket; while the agent is away the connection is cut. */
async function relay(socketPath: string, ip: string): Promise<Server> {
  const server = createServer((incoming, outgoing) => {
    const asked = request({ socketPath, path: incoming.url }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 500, answer.headers)
      answer.pipe(outgoing)
    })
    asked.on('error', () => outgoing.destroy())
    asked.end()
  })
  server.listen(metricsPort, ip)
  await once(server, 'listening')
  return server
}

/** Addresses of loopback that another process hardly has. */
function ownIps(count: number): string[] {
  const [net, start] = [100 + (process.pid % 100), (process.pid >> 7) % 200]
  return Array.from({ length: count }, (_, index) => `127.${net}.${start}.${index + 1}`)
}

export type Sample = { readonly metric: Readonly<Record<string, string>>; readonly value: readonly [number, string] }
export type Alert = {
  readonly labels: Readonly<Record<string, string>>
  readonly annotations: Readonly<Record<string, string>>
  readonly state: 'pending' | 'firing'
}

export class TestPrometheus implements AsyncDisposable {
  readonly #relays: readonly Server[]
  readonly #process: ChildProcess
  readonly #dir: string
  readonly #targets: readonly Target[]
  readonly #url: string

  private constructor(
    relays: readonly Server[],
    child: ChildProcess,
    { dir, targets, url }: { dir: string; targets: readonly Target[]; url: string },
  ) {
    this.#relays = relays
    this.#process = child
    this.#dir = dir
    this.#targets = targets
    this.#url = url
  }

  /** Scrapes the agents of these nodes each second; alerts fire `factor` times as soon. */
  static async start(lab: string, nodes: readonly string[], factor: number): Promise<TestPrometheus> {
    const dir = mkdtempSync(join(tmpdir(), 'causeway-prometheus-'))
    const ips = ownIps(nodes.length)
    const targets = nodes.map((node, index) => ({ node, ip: ips[index]! }))
    const relays = await Promise.all(targets.map(({ node, ip }) => relay(new LabPaths(lab).agentSocket(node), ip)))
    writeFileSync(join(dir, 'alerts.yaml'), quickRules(factor))
    writeConfig(dir, targets)
    const port = await freePort()
    const args = [
      `--config.file=${join(dir, 'prometheus.yaml')}`,
      `--storage.tsdb.path=${join(dir, 'data')}`,
      `--web.listen-address=127.0.0.1:${port}`,
      '--log.level=warn',
    ]
    const child = spawn('prometheus', args, { stdio: ['ignore', 'ignore', 'inherit'] })
    const started = new TestPrometheus(relays, child, { dir, targets, url: `http://127.0.0.1:${port}` })
    try {
      await eventually('all agents are scraped', async () => (await started.query('up == 1')).length === nodes.length)
    } catch (error) {
      await started[Symbol.asyncDispose]()
      throw error
    }
    return started
  }

  /** Has the agents of only these nodes as targets, as where the others have no pod. */
  async find(nodes: readonly string[]): Promise<void> {
    writeConfig(
      this.#dir,
      this.#targets.filter(({ node }) => nodes.includes(node)),
    )
    this.#process.kill('SIGHUP')
    await eventually('these are the targets', async () => {
      const found = (await this.query('up')).map(({ metric }) => metric['node']!)
      assert.deepEqual(found.sort(), [...nodes].sort())
      return true
    })
  }

  async #get<T>(path: string): Promise<T> {
    const response = await fetch(`${this.#url}${path}`)
    const { status, data, error } = (await response.json()) as { status: string; data: T; error?: string }
    assert.equal(status, 'success', `${path}: ${error}`)
    return data
  }

  /** The values of now. Fails when Prometheus cannot read the expression. */
  async query(expr: string): Promise<readonly Sample[]> {
    const { result } = await this.#get<{ result: Sample[] }>(`/api/v1/query?query=${encodeURIComponent(expr)}`)
    return result
  }

  async alerts(): Promise<readonly Alert[]> {
    const { alerts } = await this.#get<{ alerts: Alert[] }>('/api/v1/alerts')
    return alerts
  }

  /** The names of alerts that fire, with where: "CausewayAgentDown node-2". */
  async firing(): Promise<string[]> {
    const names = (await this.alerts()).flatMap(
      ({ state, labels: { alertname, node, code, object, peer, peer_node, family } }) =>
        state === 'firing' ? [[alertname, node, code, object, peer, peer_node, family].filter(Boolean).join(' ')] : [],
    )
    return names.sort()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#process.exitCode === null && this.#process.signalCode === null) {
      const ended = once(this.#process, 'exit')
      this.#process.kill('SIGKILL')
      await ended
    }
    for (const server of this.#relays) {
      server.close()
      server.closeAllConnections()
    }
    rmSync(this.#dir, { recursive: true, force: true })
  }
}

/** What a panel asks, with what Grafana puts in for its variables when all is chosen. */
export function askedOf(expr: string): string {
  return expr.replaceAll(/\$(cluster|node)\b/g, '.*').replaceAll('$__rate_interval', '10s')
}

export const dashboardJson = (): { panels: { title: string; targets: { expr: string }[] }[] } =>
  JSON.parse(readFileSync(new URL('../../monitoring/dashboard.json', import.meta.url), 'utf8')) as never
