// The agent's settings, read from the environment: a DaemonSet's fields and the lab's launcher set the same variables.
import { isAbsolute } from 'node:path'
import { Prefix } from '#/lib/addr.ts'
import { type Level } from '#/lib/log.ts'
import { type NetworkSettings } from '#/model/network.ts'
import { routings } from '#/model/routing.ts'
import { type CniInstallConfig } from './cni-install/config.ts'

export type AgentConfig = {
  readonly nodeName: string
  /** Survives restarts and reboots: addresses in use. */
  readonly stateDir: string
  /** The CNI shim's and the command line's sockets. */
  readonly runDir: string
  /** Where Causeway is installed: Secrets that BGP objects name are looked for there. */
  readonly namespace: string
  /** Absent: the credentials of the pod it runs in. */
  readonly kubeconfig: string | undefined
  readonly settings: NetworkSettings
  /** How long an address rests before another pod gets it. */
  readonly coolDownMs: number
  /** Whether this node's tunnel end is published in flannel's annotations. */
  readonly flannelInterop: boolean
  /** Where health and metrics are served over TCP, on all addresses of the node; absent: nowhere. */
  readonly httpPort: number | undefined
  readonly logLevel: Level
  /** Absent: the container runtime's files are left alone. */
  readonly cniInstall?: CniInstallConfig | undefined
}

/** For how long an address that was given back is given to no other pod. */
export const defaultCoolDownMs = 30_000

export class ConfigError extends Error {
  override name = 'ConfigError'
}

type Environment = Readonly<Record<string, string | undefined>>

const defaultVni = 1
/** The Linux kernel's own default; 4789 is IANA's. */
const defaultVxlanPort = 8472
/** RFC 791 section 3.1: what every host must take; with less than that, nothing is left in the tunnel. */
const minMtuBytes = 576
/** Linux devices go up to 65535 and a few more; an IP packet cannot be larger. */
const maxMtuBytes = 65_535
const levels: readonly string[] = ['debug', 'info', 'warn', 'error']

function numberIn(env: Environment, name: string, fallback: number, max: number, min = 1): number {
  const text = env[name]
  if (text === undefined || text === '') return fallback
  const value = Number(text)
  if (!/^\d+$/.test(text) || value < min || value > max)
    throw new ConfigError(`${name}="${text}": expected a number from ${min} to ${max}`)
  return value
}

/** The first of the choices is the default. */
function choiceIn<const T extends string>(env: Environment, name: string, choices: readonly [T, ...(readonly T[])]): T {
  const text = env[name] || choices[0]
  const choice = choices.find((each) => each === text)
  if (choice === undefined) throw new ConfigError(`${name}="${text}": expected one of ${choices.join(', ')}`)
  return choice
}

/** Reads a list of CIDRs separated by commas; throws ConfigError naming `what`. */
export function parseCIDRs(text: string, what: string): Prefix[] {
  const prefixes = text
    .split(',')
    .filter(Boolean)
    .map((each) => {
      try {
        return Prefix.parse(each.trim())
      } catch (error) {
        throw new ConfigError(`${what}: ${error instanceof Error ? error.message : String(error)}`)
      }
    })
  for (const [index, prefix] of prefixes.entries()) {
    const other = prefixes.slice(0, index).find((each) => each.overlaps(prefix))
    if (other) throw new ConfigError(`${what}: ${prefix} overlaps ${other}`)
  }
  return prefixes
}

function folderIn(env: Environment, name: string, fallback: string): string {
  const path = env[name] || fallback
  if (!isAbsolute(path)) throw new ConfigError(`${name}="${path}": expected an absolute path`)
  return path
}

export function readConfig(env: Environment): AgentConfig {
  const nodeName = env['CAUSEWAY_NODE_NAME'] ?? ''
  if (!/^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/.test(nodeName)) {
    throw new ConfigError(`CAUSEWAY_NODE_NAME="${nodeName}": expected the name of this node's Node object`)
  }
  const logLevel = env['CAUSEWAY_LOG_LEVEL'] ?? 'info'
  if (!levels.includes(logLevel))
    throw new ConfigError(`CAUSEWAY_LOG_LEVEL="${logLevel}": expected one of ${levels.join(', ')}`)
  const clusterCIDRs = parseCIDRs(env['CAUSEWAY_CLUSTER_CIDRS'] ?? '', 'CAUSEWAY_CLUSTER_CIDRS')
  if (clusterCIDRs.length === 0) {
    throw new ConfigError(
      'CAUSEWAY_CLUSTER_CIDRS is empty: expected the CIDRs of all pods, such as 10.244.0.0/16,fd10:244::/48',
    )
  }
  return {
    nodeName,
    stateDir: folderIn(env, 'CAUSEWAY_STATE_DIR', '/var/lib/causeway'),
    runDir: folderIn(env, 'CAUSEWAY_RUN_DIR', '/run/causeway'),
    namespace: env['CAUSEWAY_NAMESPACE'] || 'causeway-system',
    kubeconfig: env['CAUSEWAY_KUBECONFIG'] || undefined,
    settings: {
      clusterCIDRs,
      vni: numberIn(env, 'CAUSEWAY_VNI', defaultVni, (1 << 24) - 1),
      vxlanPort: numberIn(env, 'CAUSEWAY_VXLAN_PORT', defaultVxlanPort, 65_535),
      ...(env['CAUSEWAY_MTU'] && { underlayMtuBytes: numberIn(env, 'CAUSEWAY_MTU', 0, maxMtuBytes, minMtuBytes) }),
      opensForwardChains: choiceIn(env, 'CAUSEWAY_FORWARD_CHAINS', ['open', 'leave']) === 'open',
      routing: choiceIn(env, 'CAUSEWAY_ROUTING', routings),
    },
    flannelInterop: choiceIn(env, 'CAUSEWAY_FLANNEL_INTEROP', ['off', 'on']) === 'on',
    httpPort: env['CAUSEWAY_HTTP_PORT'] ? numberIn(env, 'CAUSEWAY_HTTP_PORT', 0, 65_535) : undefined,
    coolDownMs: numberIn(env, 'CAUSEWAY_ADDRESS_COOLDOWN_S', defaultCoolDownMs / 1000, 86_400, 0) * 1000,
    logLevel: logLevel as Level,
  }
}
