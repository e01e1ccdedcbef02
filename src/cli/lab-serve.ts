// The lab's own background processes: its API, and the kubelet of all its nodes. `lab up` starts them.
import { connect } from '#/cluster/connect.ts'
import { createLogger } from '#/lib/log.ts'
import { AgentApi } from '#/agent/report/http-api.ts'
import { flannelPlanOf } from '#/lab/flannel/nodes.ts'
import { FlannelPods } from '#/lab/flannel/pods.ts'
import { LabKubelet } from '#/lab/kubelet.ts'
import { serveLabApi } from '#/lab/lab-api.ts'
import { LabPaths } from '#/lab/paths.ts'
import { Sandboxes } from '#/lab/sandboxes.ts'
import { readSpec } from '#/lab/spec-file.ts'
import { options } from './args.ts'
import { type Action } from './command.ts'
import { labNameOption } from './lab-options.ts'
import { print } from './output.ts'
import { stopRequested, until } from './signals.ts'

/** The lab that the arguments name; a background process reads everything else from the lab's own files. */
function labOf(args: readonly string[]) {
  const { values } = options(args, labNameOption)
  const paths = new LabPaths(values.name)
  const spec = readSpec(paths)
  if (spec === undefined) throw new Error(`no lab "${values.name}" is up`)
  const log = createLogger({ level: 'info', write: print, now: () => new Date().toISOString() })
  return { spec, paths, log }
}

async function serveApi(args: readonly string[]): Promise<number> {
  // from here on a signal ends the work begun, in order
  const stop = stopRequested()
  const { spec, paths, log } = labOf(args)
  const relay = new URL('../../build/causeway-api-relay', import.meta.url).pathname
  const server = await serveLabApi(spec, { paths, relay }, log)
  log.info('stopping', { signal: await until(stop) })
  await server[Symbol.asyncDispose]()
  return 0
}

async function servePods(args: readonly string[]): Promise<number> {
  // from here on a signal ends the work begun, in order
  const stop = stopRequested()
  const { spec, paths, log } = labOf(args)
  await using client = await connect({ kubeconfig: paths.kubeconfig })
  const flannel = flannelPlanOf(spec)
  const plugin = new URL('../../build/causeway-cni', import.meta.url).pathname
  const sandboxes = new Sandboxes(
    paths,
    flannel ? (others) => new FlannelPods(spec.name, flannel, () => others.list()) : plugin,
  )
  await using kubelet = new LabKubelet({ spec, paths }, { client, sandboxes, log })
  kubelet.start()
  await using api = new AgentApi({ socketPath: paths.kubeletSocket }, { log })
  await api.start({
    readyz: () =>
      kubelet.isSettled ? { status: 200, body: 'ok\n' } : { status: 503, body: 'not all pods run as they should\n' },
  })
  log.info('stopping', { signal: await until(stop) })
  return 0
}

export const serveApiCommand: Action = {
  name: 'serve-api',
  summary: "the lab's Kubernetes API",
  isHidden: true,
  options: labNameOption,
  run: serveApi,
}

export const servePodsCommand: Action = {
  name: 'serve-pods',
  summary: "the lab's kubelet",
  isHidden: true,
  options: labNameOption,
  run: servePods,
}
