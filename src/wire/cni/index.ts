// The public interface of wire/cni: the Container Network Interface as values (SPEC 0.3.1 to 1.1.0), and the framing of the shim.
export type { Bandwidth, PortMapping, RuntimeConfig } from './config.ts'
export { type Attachment, attachmentKey, type CniArgs, type TraceContext } from './env.ts'
export { type CniError, CniErrorCode, CniProtocolError, encodeError } from './error.ts'
export type { HostAddr, IpRequest } from './field.ts'
export {
  decodeRequest,
  decodeRequestHeader,
  encodeAnswer,
  frameHeaderBytes,
  maxPassedFiles,
  tooManyFiles,
} from './frame.ts'
export { type CniOutput, type CniReply, encodeReply } from './reply.ts'
export {
  type AddRequest,
  type CheckRequest,
  type CniOperation,
  type CniRefusal,
  type CniRequest,
  type DelRequest,
  type GcRequest,
  parseCniRequest,
  type StatusRequest,
  type VersionRequest,
} from './request.ts'
export {
  type CniDns,
  type CniInterface,
  type CniIp,
  type CniResult,
  type CniRoute,
  decodeResult,
  encodeResult,
} from './result.ts'
export { type CniVersion, cniVersions, encodeVersions, isAtLeast, isCniVersion, latestCniVersion } from './version.ts'
