// The public interface of wire/bgp: BGP-4 messages as values (RFC 4271 and its extensions), and their text for people.
export { asPathLength, asPathText } from './as-path.ts'
export { type Community, communityText, parseCommunity, WellKnownCommunity } from './communities.ts'
export { nlriOf, prefixOf } from './nlri.ts'
export {
  BgpError,
  CeaseSubcode,
  ErrorCode,
  FsmSubcode,
  hardReset,
  HeaderSubcode,
  notificationOf,
  notificationText,
  OpenSubcode,
  RefreshSubcode,
  shutdownNotification,
  UpdateSubcode,
} from './notification.ts'
export { encodeOpen } from './open.ts'
export { MessageReader } from './reader.ts'
export { encodeKeepalive, encodeNotification, encodeRefresh } from './small.ts'
export { type AnnouncedRoute, encodeAnnouncements, encodeEndOfRib, encodeWithdrawals } from './update-encode.ts'
export type {
  Announcement,
  AsSegment,
  BgpMessage,
  Capabilities,
  GracefulRestartCapability,
  LongLivedFamily,
  Nlri,
  Notification,
  Open,
  Origin,
  PathAttributes,
  PathNextHop,
  RestartFamily,
  RouteRefresh,
  UnknownAttribute,
  Update,
  WireSettings,
  Withdrawal,
} from './values.ts'
