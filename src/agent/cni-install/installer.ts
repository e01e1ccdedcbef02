// Connects the node's container runtime with the agent: installs the plugin in the runtime's folder of plugins, and then, once pods can
// be wired, writes the network configuration that names the plugin. With the configuration, a runtime reports the network as ready.
//
// The configuration stays when the agent ends: while no agent runs, the plugin lets calls wait or spools them (docs/cni.md), and
// without the configuration the kubelet would report the node as not ready at each restart of the agent, which can evict pods. It is
// removed only after a minute without a pod network, so that short failures do not remove it.
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { type Clock, systemClock } from '#/cluster/clock.ts'
import { type Logger, messageOf } from '#/lib/log.ts'
import { type ProblemCode } from '#/model/problem-catalogue.ts'
import { type Problem, problem } from '#/model/problems.ts'
import { type Chained } from '#/settings/cni-chain.ts'
import { type CniInstallConfig } from './config.ts'
import { ConflistFile } from './conflist-file.ts'
import {
  type ChainedPlugin,
  type Conflist,
  conflistFor,
  conflistName,
  executableOf,
  leadsToOurs,
  namesBefore,
  othersIn,
  pluginName,
  versionsOfAll,
} from './conflist.ts'
import { PluginVersions } from './plugin-versions.ts'
import { isAsWanted, writeWholeFile } from '../whole-file.ts'

const checkMs = 10_000
/** How long a node may be without a pod network before its configuration is removed. */
const graceMs = 60_000
const pluginMode = 0o755
/** The versions assumed of a chained plugin that does not tell its own: all reference plugins of the last years speak these. */
const assumedVersions = ['0.3.1', '0.4.0', '1.0.0']

export type CniInstallerDeps = {
  /** Whether an ADD would be served now. */
  readonly canServe: () => boolean
  /** Called when `problems` has changed. */
  readonly onChange: () => void
  readonly log: Logger
  readonly clock?: Clock
}

export class CniInstaller implements Disposable {
  readonly #config: CniInstallConfig
  readonly #canServe: () => boolean
  readonly #onChange: () => void
  readonly #log: Logger
  readonly #clock: Clock
  readonly #versions = new PluginVersions(() => this.#lookAgain())
  readonly #conflist: ConflistFile
  #problems: readonly Problem[] = []
  /** The attributes that the installed plugin's file had when its content was last found right; '' before that. */
  #seenPlugin = ''
  #couldServe: boolean | undefined
  #unservedSinceMs: number | undefined
  #cancel: (() => void) | undefined

  constructor(config: CniInstallConfig, deps: CniInstallerDeps) {
    this.#config = config
    this.#canServe = deps.canServe
    this.#onChange = deps.onChange
    this.#log = deps.log
    this.#clock = deps.clock ?? systemClock
    this.#conflist = new ConflistFile(join(config.confDir, conflistName), {
      log: deps.log,
      nowMs: () => this.#clock.monotonicMs(),
    })
  }

  get problems(): readonly Problem[] {
    return this.#problems
  }

  /** Starts installing; to be called once the agent answers calls of the plugin. */
  start(): void {
    this.#turn()
  }

  /** To be called when `canServe` may have changed. */
  notice(): void {
    if (this.#couldServe !== this.#canServe()) this.#lookAgain()
  }

  #lookAgain(): void {
    if (this.#cancel !== undefined) this.#turn()
  }

  /** Installs what is missing, now and every `checkMs`, so that files which somebody removes or changes are restored. */
  #turn(): void {
    this.#cancel?.()
    this.#cancel = this.#clock.after(checkMs, () => this.#turn())
    const before = JSON.stringify(this.#problems)
    this.#problems = this.#tend()
    if (JSON.stringify(this.#problems) !== before) this.#onChange()
  }

  #tend(): Problem[] {
    const { binDir, confDir } = this.#config
    const problems: Problem[] = []
    const attempt = (code: ProblemCode, path: string, what: string, action: () => void): boolean => {
      try {
        action()
        return true
      } catch (error) {
        problems.push(problem(code, `file${path}`, `${what}: ${messageOf(error)}`))
        return false
      }
    }
    const plugin = join(binDir, pluginName)
    const conflist = join(confDir, conflistName)
    attempt('CW3001', plugin, 'the CNI plugin cannot be installed', () => this.#installPlugin(plugin))
    this.#couldServe = this.#canServe()
    if (this.#couldServe) {
      this.#unservedSinceMs = undefined
      attempt('CW3002', conflist, 'the CNI configuration cannot be written', () => {
        const wanted = this.#wanted(problems)
        // when this plugin could not be installed, an older one in its place will do; with no plugin, the configuration would fail every pod
        if (wanted !== undefined && existsSync(plugin)) this.#conflist.put(wanted)
      })
      problems.push(...this.#conflist.problems)
    } else {
      attempt('CW3003', conflist, 'the CNI configuration cannot be removed', () => this.#removeWhenLong())
    }
    attempt('CW3004', confDir, 'the folder of CNI configurations cannot be read', () => this.#lookForOthers(problems))
    return problems
  }

  #installPlugin(path: string): void {
    mkdirSync(this.#config.binDir, { recursive: true })
    const look = (): string => {
      const stats = statSync(path, { throwIfNoEntry: false, bigint: true })
      return stats === undefined ? '' : `${stats.ino} ${stats.size} ${stats.mode} ${stats.ctimeNs}`
    }
    if (this.#seenPlugin !== '' && look() === this.#seenPlugin) return
    const content = readFileSync(this.#config.plugin)
    if (!isAsWanted(path, content, pluginMode)) {
      writeWholeFile(path, content, pluginMode)
      this.#log.info('installed the CNI plugin', { path })
    }
    this.#seenPlugin = look()
  }

  /** What the configuration should say. Undefined while a plugin's answer is awaited. */
  #wanted(problems: Problem[]): Conflist | undefined {
    const found = this.#conflist.look()
    const { others, isWhole: areOthersKnown } = this.#others(found, problems)
    const { usable, isWhole } = this.#chain(others, problems)
    return isWhole && areOthersKnown ? conflistFor(usable, found, others) : undefined
  }

  /** The plugins that others have put into the configuration, as far as the versions that they speak can count. */
  #others(
    found: Conflist | undefined,
    problems: Problem[],
  ): { others: { versions: readonly string[] }[]; isWhole: boolean } {
    const others: { versions: readonly string[] }[] = []
    let isWhole = true
    for (const name of new Set(found ? othersIn(found).map(executableOf) : [])) {
      if (name === undefined) continue
      const path = join(this.#config.binDir, name)
      const tell = (code: 'CW3005' | 'CW3007', why: string, remedy: string): void => {
        const message = `another program put it into ${conflistName}, where Causeway leaves it: ${why}`
        problems.push(problem(code, `file${path}`, message, { remedy }))
      }
      const spoken = this.#versions.of(path)
      if (spoken === undefined)
        tell(
          'CW3005',
          'it is not in this folder, and runtimes set up no pod without it',
          `have its program install it again, or take its entry out of ${conflistName}; Causeway then leaves that as it is`,
        )
      else if (spoken.kind === 'asked') isWhole = false
      else {
        const { versions } = spoken.kind === 'known' ? spoken : { versions: assumedVersions }
        if (versionsOfAll([...others, { versions }]).length > 0) others.push({ versions })
        else
          tell(
            'CW3007',
            `it speaks CNI ${versions.join(', ') || 'in no version'}, and no version that all others speak`,
            'have its program install another version of it',
          )
      }
    }
    return { others, isWhole }
  }

  /** The chained plugins that can be used: one that cannot would fail every pod. `isWhole`: no plugin's answer is awaited. */
  #chain(
    others: readonly { readonly versions: readonly string[] }[],
    problems: Problem[],
  ): { usable: ChainedPlugin[]; isWhole: boolean } {
    const { binDir, chain } = this.#config
    const wanted: readonly Chained[] = chain ?? ['portmap']
    const usable: ChainedPlugin[] = []
    let isWhole = true
    for (const name of wanted) {
      const path = join(binDir, name)
      const leaveOut = (code: 'CW3005' | 'CW3007', why: string): void => {
        problems.push(problem(code, `file${path}`, `${why}; it is left out of the chain`))
      }
      const spoken = this.#versions.of(path)
      if (spoken === undefined) {
        if (chain !== undefined) leaveOut('CW3005', 'CAUSEWAY_CNI_CHAIN wants it, and it is not there')
      } else if (spoken.kind === 'asked') isWhole = false
      else if (spoken.kind === 'unknown') {
        const message = `${spoken.why}; it is taken for one that speaks ${assumedVersions.join(', ')}`
        problems.push(problem('CW3006', `file${path}`, message))
        usable.push({ name, versions: assumedVersions })
      } else if (versionsOfAll([...others, ...usable, { versions: spoken.versions }]).length === 0)
        leaveOut(
          'CW3007',
          `it speaks CNI ${spoken.versions.join(', ') || 'in no version'}, and no version that all others speak`,
        )
      else usable.push({ name, versions: spoken.versions })
    }
    return { usable, isWhole }
  }

  #removeWhenLong(): void {
    const now = this.#clock.monotonicMs()
    this.#unservedSinceMs ??= now
    if (now - this.#unservedSinceMs >= graceMs) this.#conflist.remove()
  }

  #lookForOthers(problems: Problem[]): void {
    const { confDir } = this.#config
    if (!existsSync(confDir)) return
    for (const name of namesBefore(readdirSync(confDir))) {
      const path = join(confDir, name)
      // the first one counts: one that leads to ours is used instead of all that follow
      if (leadsToOurs(textOf(path))) return
      const message = `container runtimes use this CNI configuration instead of ${conflistName}: pods do not get Causeway's network`
      problems.push(problem('CW3008', `file${path}`, message))
    }
  }

  [Symbol.dispose](): void {
    this.#cancel?.()
    this.#cancel = undefined
  }
}

/** A file that cannot be read has no text: it leads nowhere. */
function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
