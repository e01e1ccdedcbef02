// The words in which the kernel of a node is told. Pure.
import { type AnyRouteType, anyRouteTypeNumbers } from '#/wire/netlink/route.ts'

export { nftFamilyNames } from '#/wire/nftables/messages.ts'
export const anyRouteTypes = Object.keys(anyRouteTypeNumbers) as readonly AnyRouteType[]
