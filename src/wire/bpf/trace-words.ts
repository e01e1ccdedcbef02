// The words in which programs and all parts speak of a traced packet. Pure.

/** What a probe is. */
export const traceProtocols = ['icmp', 'udp', 'tcp'] as const
export type TraceProtocol = (typeof traceProtocols)[number]

/** Where the kernel shows a packet. */
export const tracePlaces = ['receive', 'queue', 'transmit', 'drop', 'read'] as const
export type TracePlace = (typeof tracePlaces)[number]

/** What a packet that belongs to a trace is: the probe, its answer, or an ICMP error that quotes the one or the other. */
export const traceRoles = ['probe', 'answer', 'probe-error', 'answer-error'] as const
export type TraceRole = (typeof traceRoles)[number]
