// Speaks the Container Runtime Interface (runtime.v1 over gRPC on a unix socket), as kubelet does.
import { type ChannelCredentials, Client, credentials, type ServiceDefinition } from '@grpc/grpc-js'
import { loadSync } from '@grpc/proto-loader'
import { setTimeout as sleep } from 'node:timers/promises'
import { messageOf } from '#/lib/log.ts'

export type PortMapping = { readonly containerPort: number; readonly hostPort: number }

export type SandboxConfig = {
  readonly metadata: {
    readonly name: string
    readonly uid: string
    readonly namespace: string
    readonly attempt: number
  }
  readonly hostname: string
  readonly logDirectory: string
  readonly portMappings: readonly PortMapping[]
  readonly annotations: Readonly<Record<string, string>>
  readonly linux: { readonly cgroupParent: string }
}

export type SandboxState = 'SANDBOX_READY' | 'SANDBOX_NOTREADY'
export type SandboxItem = {
  readonly id: string
  readonly metadata: { readonly name: string }
  readonly state: SandboxState
}

export type SandboxStatus = {
  readonly state: SandboxState
  /** `ip` and `additionalIps` of the answer, in this order. */
  readonly addrs: readonly string[]
  /** Path of its network namespace. */
  readonly netns: string
}

type Condition = { readonly type: string; readonly status: boolean; readonly message: string }
type StatusAnswer = {
  status: { state: SandboxState; network: { ip: string; additionalIps: { ip: string }[] } | null }
  info: Record<string, string>
}
type SandboxInfo = { runtimeSpec: { linux: { namespaces: { type: string; path?: string }[] } } | null }

const definitions = loadSync(new URL('cri.proto', import.meta.url).pathname, { defaults: true, enums: String })
const runtimeService = definitions['runtime.v1.RuntimeService'] as ServiceDefinition
const imageService = definitions['runtime.v1.ImageService'] as ServiceDefinition
const deadlineMs = 300_000

const againMs = 1000
const againForMs = 60_000
const foreignFailure = /plugin type="(?!causeway)/

/** UNAVAILABLE of gRPC's status codes. */
const unavailable = 14

export class CriClient implements Disposable {
  readonly #client: Client

  constructor(socketPath: string) {
    const plaintext: ChannelCredentials = credentials.createInsecure()
    // a runtime that was killed is asked again at once, not after gRPC's own back-off
    this.#client = new Client(`unix:${socketPath}`, plaintext, { 'grpc.max_reconnect_backoff_ms': 200 })
  }

  async #call<Answer>(service: ServiceDefinition, method: string, request: object): Promise<Answer> {
    const { path, requestSerialize, responseDeserialize } = service[method]!
    const { promise, resolve, reject } = Promise.withResolvers<Answer>()
    this.#client.makeUnaryRequest(
      path,
      requestSerialize,
      responseDeserialize as (bytes: Buffer) => Answer,
      request,
      { deadline: Date.now() + deadlineMs },
      (error, answer) => {
        if (error) reject(error)
        else resolve(answer!)
      },
    )
    return promise
  }

  async conditions(): Promise<readonly Condition[]> {
    const { status } = await this.#call<{ status: { conditions: Condition[] } }>(runtimeService, 'Status', {})
    return status.conditions
  }

  async hasImage(image: string): Promise<boolean> {
    const answer = await this.#call<{ image: object | null }>(imageService, 'ImageStatus', { image: { image } })
    return answer.image !== null
  }

  /** Returns the sandbox's id. */
  async run(config: SandboxConfig): Promise<string> {
    const { podSandboxId } = await this.#call<{ podSandboxId: string }>(runtimeService, 'RunPodSandbox', { config })
    return podSandboxId
  }

  async stop(podSandboxId: string): Promise<void> {
    await this.#callAgain('StopPodSandbox', { podSandboxId })
  }

  async remove(podSandboxId: string): Promise<void> {
    await this.#callAgain('RemovePodSandbox', { podSandboxId })
  }

  /**
   * What may be asked twice is asked again, as kubelet does: when the connection was lost, and when a plugin of others fails, whose
   * ADD of a runtime that was killed may still be at work.
   */
  async #callAgain(method: string, request: object): Promise<void> {
    const lastMs = performance.now() + againForMs
    for (;;) {
      const isLast = performance.now() > lastMs
      try {
        await this.#call(runtimeService, method, request)
        return
      } catch (error) {
        const isLost = error instanceof Error && 'code' in error && error.code === unavailable
        if (isLast || (!isLost && !foreignFailure.test(messageOf(error)))) throw error
        await sleep(againMs)
      }
    }
  }

  async list(): Promise<readonly SandboxItem[]> {
    const { items } = await this.#call<{ items: SandboxItem[] }>(runtimeService, 'ListPodSandbox', {})
    return items
  }

  async status(podSandboxId: string): Promise<SandboxStatus> {
    const request = { podSandboxId, verbose: true }
    const { status, info } = await this.#call<StatusAnswer>(runtimeService, 'PodSandboxStatus', request)
    const { runtimeSpec } = JSON.parse(info['info'] ?? '{}') as SandboxInfo
    return {
      state: status.state,
      addrs: [status.network?.ip ?? '', ...(status.network?.additionalIps ?? []).map(({ ip }) => ip)].filter(Boolean),
      netns: runtimeSpec?.linux.namespaces.find(({ type }) => type === 'network')?.path ?? '',
    }
  }

  [Symbol.dispose](): void {
    this.#client.close()
  }
}
